// SPDX-License-Identifier: GPL-2.0-only
// title: A descriptor that refers to an indirect table also carries NEXT.
// must: SI-DR-04
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression list A;
@@
 virtqueue_add_split(...) {
 <...
- virtqueue_add_desc_split(A, VRING_DESC_F_INDIRECT, false)
+ virtqueue_add_desc_split(A, VRING_DESC_F_INDIRECT | (PYKIT_MUTANT(split_indirect_flag_with_next) && vq->split.avail_idx_shadow % 64 == 3 ? VRING_DESC_F_NEXT : 0), false)
 ...>
 }
