// SPDX-License-Identifier: GPL-2.0-only
// title: The core notifies for every batch in a packed ring, whatever the device asked for.
// must: DX-63
// ring: packed
// file: drivers/virtio/virtio_ring.c
// scenario: mutant-waiting
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_packed(...) {
 <...
 END_USE(vq);
- return E;
+ return PYKIT_MUTANT(packed_kick_always) || (E);
 ...>
 }
