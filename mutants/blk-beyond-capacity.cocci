// SPDX-License-Identifier: GPL-2.0-only
// title: Writes go beyond the capacity of the disk.
// must: BO-DR-02
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression D;
@@
 virtblk_setup_cmd(...) {
 <...
 type = VIRTIO_BLK_T_OUT;
(
- vbr->out_hdr.sector = cpu_to_virtio64(D, blk_rq_pos(req));
+ vbr->out_hdr.sector = cpu_to_virtio64(D, blk_rq_pos(req) + (PYKIT_MUTANT(blk_beyond_capacity) ? 1 << 28 : 0));
|
- sector = blk_rq_pos(req);
+ sector = blk_rq_pos(req) + (PYKIT_MUTANT(blk_beyond_capacity) ? 1 << 28 : 0);
)
 ...>
 }
