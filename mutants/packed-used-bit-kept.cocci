// SPDX-License-Identifier: GPL-2.0-only
// title: The USED bit of an available descriptor is never set, whatever the wrap counter.
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
+ vq->packed.vring.desc[head].flags = cpu_to_le16(PYKIT_MUTANT(packed_used_bit_kept) ? (E) & ~(1 << VRING_PACKED_DESC_F_USED) : (E));
 ...>
 }
