// SPDX-License-Identifier: GPL-2.0-only
// title: A flush request carries a sector other than 0.
// must: BO-DR-04
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_prep_rq(...) {
 <...
+ if (PYKIT_MUTANT(blk_flush_sector) && req_op(req) == REQ_OP_FLUSH) vbr->out_hdr.sector = cpu_to_virtio64(vblk->vdev, 8);
 blk_mq_start_request(req);
 ...>
 }
