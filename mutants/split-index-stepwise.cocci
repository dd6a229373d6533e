// SPDX-License-Identifier: GPL-2.0-only
// title: The available index is stored rounded down at first, and then as it is.
// must: SA-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
expression E;
@@
 virtqueue_add_split(...) {
 <...
 vq->split.vring.avail->ring[avail] = E;
+ if (PYKIT_MUTANT(split_index_stepwise)) { virtio_wmb(vq->weak_barriers); WRITE_ONCE(vq->split.vring.avail->idx, cpu_to_virtio16(vq->vq.vdev, ((vq->split.avail_idx_shadow + 1) & ~3) ?: 1)); }
 ...>
 }
