// SPDX-License-Identifier: GPL-2.0-only
// title: The head in the available ring is not below the queue size.
// must: DX-05
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression D;
@@
 virtqueue_add_split(...) {
 <...
- vq->split.vring.avail->ring[avail] = cpu_to_virtio16(D, head);
+ vq->split.vring.avail->ring[avail] = cpu_to_virtio16(D, head + (PYKIT_MUTANT(split_head_out_of_range) ? vq->split.vring.num : 0));
 ...>
 }
