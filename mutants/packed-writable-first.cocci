// SPDX-License-Identifier: GPL-2.0-only
// title: Readable buffers are marked as writable in an indirect table.
// must: PS-DR-03 MF-DR-01 DX-19
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
- desc[i].flags = cpu_to_le16(E);
+ desc[i].flags = cpu_to_le16((E) | (PYKIT_MUTANT(packed_writable_first) ? VRING_DESC_F_WRITE : 0));
 ...>
 }
