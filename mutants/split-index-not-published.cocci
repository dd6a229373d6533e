// SPDX-License-Identifier: GPL-2.0-only
// title: The available index is not written now and then: a chain stays hidden.
// must: DX-36 SA-DR-01 NA-DR-06
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression D;
@@
 virtqueue_add_split(...) {
 <...
- vq->split.vring.avail->idx = cpu_to_virtio16(D, vq->split.avail_idx_shadow);
+ if (!(PYKIT_MUTANT(split_index_not_published) && vq->split.avail_idx_shadow % 16 == 0)) vq->split.vring.avail->idx = cpu_to_virtio16(D, vq->split.avail_idx_shadow);
 ...>
 }
