// SPDX-License-Identifier: GPL-2.0-only
// title: The event index is acknowledged and never moved.
// must: DX-17
// may: NU-DE-05
// bug: B65
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_enable_cb_prepare_split(...) {
 <...
- last_used_idx = vq->last_used_idx
+ ((last_used_idx = vq->last_used_idx), PYKIT_MUTANT(split_used_event_constant) ? 0 : last_used_idx)
 ...>
 }
