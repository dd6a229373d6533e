// SPDX-License-Identifier: GPL-2.0-only
// title: The driver exposes more chains than the queue has descriptors.
// must: DX-07 DX-04
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
- vq->vq.num_free -= descs_used;
+ vq->vq.num_free -= PYKIT_MUTANT(split_free_count_wrong) ? 0 : descs_used;
 ...>
 }
