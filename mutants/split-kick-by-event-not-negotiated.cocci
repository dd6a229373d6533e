// SPDX-License-Identifier: GPL-2.0-only
// title: The event index decides on notifications although it was not negotiated.
// must: NA-DR-02 NA-DR-04 DX-32
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-event-idx
// count: 1
@@
statement S1, S2;
@@
 virtqueue_kick_prepare_split(...) {
 <...
- if (vq->event)
+ if (vq->event || PYKIT_MUTANT(split_kick_by_event_not_negotiated))
 S1 else S2
 ...>
 }
