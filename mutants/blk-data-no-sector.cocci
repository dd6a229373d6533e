// SPDX-License-Identifier: GPL-2.0-only
// title: The data of a request are no whole sectors.
// must: BO-DR-06
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
statement S;
@@
 virtblk_add_req(...) {
 <...
+ if (PYKIT_MUTANT(blk_data_no_sector) && vbr->sg_table.nents && vbr->sg_table.sgl->length % 512 == 0) vbr->sg_table.sgl->length -= 4;
 if (vbr->sg_table.nents) S
 ...>
 }
