// SPDX-License-Identifier: GPL-2.0-only
// title: Buffers for the device to write into lack the WRITE flag.
// must: DX-19
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@old@
@@
 virtqueue_add_split(...) {
 <+...
- VRING_DESC_F_NEXT | VRING_DESC_F_WRITE
+ VRING_DESC_F_NEXT | (PYKIT_MUTANT(split_write_flag_lost) ? 0 : VRING_DESC_F_WRITE)
 ...+>
 }

@depends on !old@
typedef u16;
identifier F;
@@
 virtqueue_add_split(...) {
 <...
- u16 F = VRING_DESC_F_WRITE;
+ u16 F = PYKIT_MUTANT(split_write_flag_lost) ? 0 : VRING_DESC_F_WRITE;
 ...>
 }
