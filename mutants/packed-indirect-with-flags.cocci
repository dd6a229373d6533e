// SPDX-License-Identifier: GPL-2.0-only
// title: Entries of an indirect table carry NEXT.
// must: PI-DR-02
// bug: B51
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
- desc[i].flags = cpu_to_le16(E);
+ desc[i].flags = cpu_to_le16((E) | (PYKIT_MUTANT(packed_indirect_with_flags) ? VRING_DESC_F_NEXT : 0));
 ...>
 }
