// SPDX-License-Identifier: GPL-2.0-only
// title: Two outstanding chains share a descriptor.
// must: DX-07
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
- vq->free_head = i;
+ vq->free_head = PYKIT_MUTANT(split_descriptor_shared) && vq->split.avail_idx_shadow % 8 == 7 ? vq->split.desc_extra[head].next : i;
 ...>
 }
