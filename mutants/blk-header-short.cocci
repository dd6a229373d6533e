// SPDX-License-Identifier: GPL-2.0-only
// title: The header of a request is shorter than 16 bytes.
// must: DX-19
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression G;
@@
 virtblk_add_req(...) {
 <...
- sg_init_one(G, &vbr->out_hdr, sizeof(vbr->out_hdr));
+ sg_init_one(G, &vbr->out_hdr, sizeof(vbr->out_hdr) - (PYKIT_MUTANT(blk_header_short) ? 8 : 0));
 ...>
 }
