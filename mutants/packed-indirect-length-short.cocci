// SPDX-License-Identifier: GPL-2.0-only
// title: The length of an indirect table is no multiple of a descriptor's size.
// must: DX-08
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
- vq->packed.vring.desc[head].len = cpu_to_le32(E);
+ vq->packed.vring.desc[head].len = cpu_to_le32(E - (PYKIT_MUTANT(packed_indirect_length_short) ? 4 : 0));
 ...>
 }
