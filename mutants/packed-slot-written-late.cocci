// SPDX-License-Identifier: GPL-2.0-only
// title: The driver writes to a descriptor that it has made available.
// must: PD-DR-02 CL-DR-01
// ring: packed
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
 vq->packed.vring.desc[head].flags = cpu_to_le16(E);
+ if (PYKIT_MUTANT(packed_slot_written_late)) WRITE_ONCE(vq->packed.vring.desc[head].len, cpu_to_le32(total_sg * sizeof(struct vring_packed_desc)));
 ...>
 }
