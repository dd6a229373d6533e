// SPDX-License-Identifier: GPL-2.0-only
// title: The data of a read or write is no multiple of 512 bytes.
// must: BO-DR-06
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_add_req(...) {
+ if (PYKIT_MUTANT(blk_data_cut) && vbr->sg_table.nents && sg_last(vbr->sg_table.sgl, vbr->sg_table.nents)->length > 512) sg_last(vbr->sg_table.sgl, vbr->sg_table.nents)->length -= 256;
 ...
 }
