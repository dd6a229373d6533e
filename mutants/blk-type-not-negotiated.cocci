// SPDX-License-Identifier: GPL-2.0-only
// title: Flush requests are sent as secure erase, which was not negotiated.
// must: DX-22
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_setup_cmd(...) {
 <...
- type = VIRTIO_BLK_T_FLUSH;
+ type = PYKIT_MUTANT(blk_type_not_negotiated) ? VIRTIO_BLK_T_SECURE_ERASE : VIRTIO_BLK_T_FLUSH;
 ...>
 }
