// SPDX-License-Identifier: GPL-2.0-only
// title: An entry of an indirect table changes after the chain was exposed.
// must: CL-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
+ if (PYKIT_MUTANT(split_table_changed_late) && indirect) desc[total_sg - 1].next = cpu_to_virtio16(vq->vq.vdev, 7);
 pr_debug("Added buffer head %i to %p\n", head, vq);
 ...>
 }
