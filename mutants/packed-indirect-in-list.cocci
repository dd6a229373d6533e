// SPDX-License-Identifier: GPL-2.0-only
// title: A descriptor that refers to an indirect table carries NEXT.
// must: PI-DR-04
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
- vq->packed.vring.desc[head].flags = cpu_to_le16(E);
+ vq->packed.vring.desc[head].flags = cpu_to_le16((E) | (PYKIT_MUTANT(packed_indirect_in_list) ? VRING_DESC_F_NEXT : 0));
 ...>
 }
