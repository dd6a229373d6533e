// SPDX-License-Identifier: GPL-2.0-only
// title: The available index is not written any more after a hundred entries.
// must: DX-40
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression D;
@@
 virtqueue_add_split(...) {
 <...
- vq->split.vring.avail->idx = cpu_to_virtio16(D, vq->split.avail_idx_shadow);
+ if (!(PYKIT_MUTANT(split_index_not_published) && vq->split.avail_idx_shadow > 100)) vq->split.vring.avail->idx = cpu_to_virtio16(D, vq->split.avail_idx_shadow);
 ...>
 }
