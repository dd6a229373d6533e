// SPDX-License-Identifier: GPL-2.0-only
// title: An entry of the available ring is written again, twice, after it was exposed.
// must: CL-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
+ if (PYKIT_MUTANT(split_entry_written_again)) { WRITE_ONCE(vq->split.vring.avail->ring[avail], cpu_to_virtio16(vq->vq.vdev, head + 1)); WRITE_ONCE(vq->split.vring.avail->ring[avail], cpu_to_virtio16(vq->vq.vdev, head)); }
 pr_debug("Added buffer head %i to %p\n", head, vq);
 ...>
 }
