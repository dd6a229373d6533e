// SPDX-License-Identifier: GPL-2.0-only
// title: Buffers for the device to write into lack the WRITE flag in an indirect table.
// must: DX-19
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
- desc[i].flags = cpu_to_le16(E);
+ desc[i].flags = cpu_to_le16(PYKIT_MUTANT(packed_write_flag_lost) ? 0 : (E));
 ...>
 }
