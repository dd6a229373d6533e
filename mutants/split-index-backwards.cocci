// SPDX-License-Identifier: GPL-2.0-only
// title: The available index goes back by two now and then.
// must: SA-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
+ if (PYKIT_MUTANT(split_index_backwards) && vq->split.avail_idx_shadow % 16 == 15) vq->split.vring.avail->idx = cpu_to_virtio16(vq->vq.vdev, vq->split.avail_idx_shadow - 2);
 pr_debug("Added buffer head %i to %p\n", head, vq);
 ...>
 }
