// SPDX-License-Identifier: GPL-2.0-only
// title: The available index of a new ring does not begin with 0.
// must: SA-DR-01 DX-29
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
 head = vq->free_head;
+ if (!vq->split.avail_idx_shadow && PYKIT_MUTANT(split_ring_starts_later)) vq->split.avail_idx_shadow = 7;
 ...>
 }
