// SPDX-License-Identifier: GPL-2.0-only
// title: A descriptor changes after its chain was exposed.
// must: CL-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// observe: access
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
+ if (PYKIT_MUTANT(split_descriptor_changed_late) && !indirect) { u16 last = head; while (desc[last].flags & cpu_to_virtio16(vq->vq.vdev, VRING_DESC_F_NEXT)) last = vq->split.desc_extra[last].next; desc[last].next = cpu_to_virtio16(vq->vq.vdev, 7); }
 pr_debug("Added buffer head %i to %p\n", head, vq);
 ...>
 }
