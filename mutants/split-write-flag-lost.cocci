// SPDX-License-Identifier: GPL-2.0-only
// title: Buffers for the device to write into lack the WRITE flag.
// must: DX-19
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
// absent: 7.2
@@
@@
 virtqueue_add_split(...) {
 <...
- VRING_DESC_F_NEXT | VRING_DESC_F_WRITE
+ VRING_DESC_F_NEXT | (PYKIT_MUTANT(split_write_flag_lost) ? 0 : VRING_DESC_F_WRITE)
 ...>
 }
