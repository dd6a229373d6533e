// SPDX-License-Identifier: GPL-2.0-only
// title: The available index moves two entries ahead for one chain.
// must: SA-DR-01 DX-05
// may: DX-04 DX-07
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
- vq->split.avail_idx_shadow++;
+ vq->split.avail_idx_shadow += 1 + PYKIT_MUTANT(split_avail_idx_double);
 ...>
 }
