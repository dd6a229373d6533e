// SPDX-License-Identifier: GPL-2.0-only
// title: With the event index the core leaves out every fifth notification that is due.
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
+ return (E) && !(vq->event && new % 5 == 0 && PYKIT_MUTANT(packed_kick_event_withheld));
 ...>
 }
