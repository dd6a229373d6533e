// SPDX-License-Identifier: GPL-2.0-only
// title: A discard request has the unmap flag.
// must: BO-DR-14
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_setup_cmd(...) {
 <...
 type = VIRTIO_BLK_T_DISCARD;
+ unmap = PYKIT_MUTANT(blk_discard_unmap);
 ...>
 }
