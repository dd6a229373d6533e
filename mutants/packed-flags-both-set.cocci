// SPDX-License-Identifier: GPL-2.0-only
// title: AVAIL and USED are both set to the wrap counter: the descriptor looks used.
// must: DX-11
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
- vq->packed.vring.desc[head].flags = cpu_to_le16(E);
+ vq->packed.vring.desc[head].flags = cpu_to_le16((E) ^ (PYKIT_MUTANT(packed_flags_both_set) ? 1 << VRING_PACKED_DESC_F_USED : 0));
 ...>
 }
