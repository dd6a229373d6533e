// SPDX-License-Identifier: GPL-2.0-only
// title: An entry of an indirect table carries INDIRECT.
// must: SI-DR-02
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_split(...) {
 <...
+ if (PYKIT_MUTANT(split_indirect_nested) && indirect) desc[0].flags |= cpu_to_virtio16(vq->vq.vdev, VRING_DESC_F_INDIRECT);
 vq->vq.num_free -= E;
 ...>
 }
