// SPDX-License-Identifier: GPL-2.0-only
// title: The decision to notify takes the event index modulo the queue size.
// must: NA-DR-06
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression A, B, C;
@@
 virtqueue_kick_prepare_split(...) {
 <...
- needs_kick = vring_need_event(A, B, C);
+ needs_kick = vring_need_event((A) & (PYKIT_MUTANT(split_kick_event_masked) ? vq->split.vring.num - 1 : 0xffff), B, C);
 ...>
 }
