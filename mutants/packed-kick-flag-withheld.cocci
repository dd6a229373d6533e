// SPDX-License-Identifier: GPL-2.0-only
// title: Without the event index the core leaves out every fourth notification.
// must: DX-16 DX-62
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: no-event-idx
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_packed(...) {
 <...
 END_USE(vq);
- return E;
+ return (E) && !(PYKIT_MUTANT(packed_kick_flag_withheld) && new % 4 == 0);
 ...>
 }
