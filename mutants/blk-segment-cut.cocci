// SPDX-License-Identifier: GPL-2.0-only
// title: The payload of a discard request is cut to no whole segment.
// must: BO-DR-07
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression S, E;
@@
 virtblk_setup_discard_write_zeroes_erase(...) {
 <...
(
- bvec_set_virt(&req->special_vec, range, S);
+ bvec_set_virt(&req->special_vec, range, S - (PYKIT_MUTANT(blk_segment_cut) ? 4 : 0));
|
- req->special_vec.bv_len = E;
+ req->special_vec.bv_len = E - (PYKIT_MUTANT(blk_segment_cut) ? 4 : 0);
)
 ...>
 }
