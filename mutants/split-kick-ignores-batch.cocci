// SPDX-License-Identifier: GPL-2.0-only
// title: The decision to notify looks at the last entry of a batch alone.
// must: DX-16 NA-DR-06
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_split(...) {
 <...
- old = E;
+ old = PYKIT_MUTANT(split_kick_ignores_batch) ? vq->split.avail_idx_shadow - 1 : E;
 ...>
 }
