// SPDX-License-Identifier: GPL-2.0-only
// title: Writes carry the barrier bit of old devices in their type.
// must: DX-22 DX-19
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_setup_cmd(...) {
 <...
- type = VIRTIO_BLK_T_OUT;
+ type = VIRTIO_BLK_T_OUT | (PYKIT_MUTANT(blk_type_barrier) ? 0x80000000 : 0);
 ...>
 }
