// SPDX-License-Identifier: GPL-2.0-only
// title: A request has no writable status byte.
// must: DX-19 BO-DR-06
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression Q, D;
@@
 virtblk_add_req(...) {
 <...
- return virtqueue_add_sgs(Q, sgs, num_out, num_in, D, GFP_ATOMIC);
+ return virtqueue_add_sgs(Q, sgs, num_out, num_in - (PYKIT_MUTANT(blk_status_missing) && num_in > 1), D, GFP_ATOMIC);
 ...>
 }
