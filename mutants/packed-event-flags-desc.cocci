// SPDX-License-Identifier: GPL-2.0-only
// title: The event flags ask for a descriptor's event without the event index.
// must: DX-13
// may: NU-DE-03
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: no-event-idx
// count: 1
@@
expression A, B;
@@
 virtqueue_enable_cb_prepare_packed(...) {
 <...
- vq->packed.event_flags_shadow = vq->event ? A : B;
+ vq->packed.event_flags_shadow = vq->event || PYKIT_MUTANT(packed_event_flags_desc) ? A : B;
 ...>
 }
