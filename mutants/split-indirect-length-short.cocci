// SPDX-License-Identifier: GPL-2.0-only
// title: The length of an indirect table is no multiple of a descriptor's size.
// must: DX-08
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression V, D, H, A, L, F;
@@
 virtqueue_add_split(...) {
 <...
- virtqueue_add_desc_split(V, D, H, A, L, F, false)
+ virtqueue_add_desc_split(V, D, H, A, L - (PYKIT_MUTANT(split_indirect_length_short) ? 4 : 0), F, false)
 ...>
 }

// Since 7.2 with the extra state as one more argument.
@@
expression V, D, X, H, A, L, F;
@@
 virtqueue_add_split(...) {
 <...
- virtqueue_add_desc_split(V, D, X, H, A, L, F, false)
+ virtqueue_add_desc_split(V, D, X, H, A, L - (PYKIT_MUTANT(split_indirect_length_short) ? 4 : 0), F, false)
 ...>
 }
