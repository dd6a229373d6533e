// SPDX-License-Identifier: GPL-2.0-only
// title: The used ring does not start at a multiple of 4.
// must: VQ-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 vring_alloc_queue_split(...) {
 <...
- vring_init(&vring_split->vring, num, queue, vring_align);
+ vring_init(&vring_split->vring, num, queue, PYKIT_MUTANT(split_area_misaligned) ? 2 : vring_align);
 ...>
 }
