// SPDX-License-Identifier: GPL-2.0-only
// title: The event index is used and was not negotiated.
// must: DX-32 NA-DR-02 NA-DR-04 DX-13
// may: NU-DE-03
// ring: both
// file: drivers/virtio/virtio_ring.c
// features: no-event-idx
// count: 2
@@
identifier f; expression E;
@@
 f(...) {
 <...
- vq->event = E;
+ vq->event = PYKIT_MUTANT(event_idx_not_negotiated) || (E);
 ...>
 }
