// SPDX-License-Identifier: GPL-2.0-only
// title: The status byte of a read stands in front of its data.
// must: DX-19
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression Q, D;
@@
 virtblk_add_req(...) {
 <...
+ if (num_in == 2 && PYKIT_MUTANT(blk_status_first)) swap(sgs[num_out], sgs[num_out + 1]);
 return virtqueue_add_sgs(Q, sgs, num_out, num_in, D, GFP_ATOMIC);
 ...>
 }
