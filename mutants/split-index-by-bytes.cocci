// SPDX-License-Identifier: GPL-2.0-only
// title: The index is published for the device in two halves.
// must: SA-DR-01 SX-DR-01
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
+ if (PYKIT_MUTANT(split_index_by_bytes)) { virtio_wmb(vq->weak_barriers); memset(&vq->split.vring.avail->idx, (vq->split.avail_idx_shadow + 1) & 0xff, 1); }
 ...>
 }
