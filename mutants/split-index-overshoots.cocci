// SPDX-License-Identifier: GPL-2.0-only
// title: The available index goes one too far and comes back at once.
// must: SA-DR-01 DX-40 DX-05
// ring: split
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
+ if (PYKIT_MUTANT(split_index_overshoots)) { WRITE_ONCE(vq->split.vring.avail->idx, cpu_to_virtio16(vq->vq.vdev, vq->split.avail_idx_shadow + 1)); WRITE_ONCE(vq->split.vring.avail->idx, cpu_to_virtio16(vq->vq.vdev, vq->split.avail_idx_shadow)); }
 vq->num_added++;
 ...>
 }
