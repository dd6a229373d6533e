// SPDX-License-Identifier: GPL-2.0-only
// title: Reads are sent with a type that is not defined.
// must: DX-22 DX-19
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_setup_cmd(...) {
 <...
- type = VIRTIO_BLK_T_IN;
+ type = PYKIT_MUTANT(blk_type_unknown) ? 98 : VIRTIO_BLK_T_IN;
 ...>
 }
