// SPDX-License-Identifier: GPL-2.0-only
// title: The buffer of a GET_ID request is not 20 bytes long.
// must: BO-DR-08
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression Q, R, S, G;
@@
 virtblk_get_id(...) {
 <...
- VIRTIO_BLK_ID_BYTES
+ (VIRTIO_BLK_ID_BYTES - (PYKIT_MUTANT(blk_serial_short) ? 4 : 0))
 ...>
 }
