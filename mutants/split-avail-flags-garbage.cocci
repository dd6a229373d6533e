// SPDX-License-Identifier: GPL-2.0-only
// title: A reserved bit of the available ring's flags is set when the ring is made.
// must: NU-DR-01 NU-DR-03
// ring: split
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
+ if (PYKIT_MUTANT(split_avail_flags_garbage)) vq->split.vring.avail->flags = cpu_to_virtio16(vq->vq.vdev, 4);
 vq->num_added++;
 ...>
 }
