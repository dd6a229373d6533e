// SPDX-License-Identifier: GPL-2.0-only
// title: The core never notifies the device of buffers in a packed ring.
// must: DX-16 DX-62
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_packed(...) {
 <...
 END_USE(vq);
- return E;
+ return !PYKIT_MUTANT(packed_kick_never) && (E);
 ...>
 }
