// SPDX-License-Identifier: GPL-2.0-only
// title: The event index is acknowledged, and suppression goes by flags.
// must: NA-DR-05 NU-DR-03 NA-DR-06 NA-DR-07
// bug: B37
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 2
@@
identifier f; expression D;
@@
 f(...) {
 <...
- vq->event = virtio_has_feature(D, VIRTIO_RING_F_EVENT_IDX);
+ vq->event = virtio_has_feature(D, VIRTIO_RING_F_EVENT_IDX) && !PYKIT_MUTANT(event_idx_not_implemented);
 ...>
 }
