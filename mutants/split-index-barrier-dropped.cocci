// SPDX-License-Identifier: GPL-2.0-only
// title: No barrier between the entry and the available index.
// must: SX-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
- virtio_wmb(vq->weak_barriers);
+ if (!PYKIT_MUTANT(split_index_barrier_dropped)) virtio_wmb(vq->weak_barriers);
 ...>
 }
