// SPDX-License-Identifier: GPL-2.0-only
// title: The available index that is published is taken modulo the queue size.
// must: SA-DR-01
// may: DX-03 DX-38
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
+ if (PYKIT_MUTANT(split_index_masked)) vq->split.vring.avail->idx = cpu_to_virtio16(vq->vq.vdev, vq->split.avail_idx_shadow & (vq->split.vring.num - 1));
 vq->num_added++;
 ...>
 }
