// SPDX-License-Identifier: GPL-2.0-only
// title: The available index is published before the entry in the ring is written.
// must: SX-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
expression E;
@@
 virtqueue_add_split(...) {
 <...
+ if (PYKIT_MUTANT(split_entry_after_index)) vq->split.vring.avail->idx = cpu_to_virtio16(vq->vq.vdev, vq->split.avail_idx_shadow + 1);
 vq->split.vring.avail->ring[avail] = E;
 ...>
 }
