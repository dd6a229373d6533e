// SPDX-License-Identifier: GPL-2.0-only
// title: The status of a request is not one byte.
// must: DX-19
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression A, B;
@@
 virtblk_add_req(...) {
 <...
(
- sg_init_one(&status, A, B);
+ sg_init_one(&status, A, (B) + PYKIT_MUTANT(blk_status_long));
|
- sg_init_one(&in_hdr, A, B);
+ sg_init_one(&in_hdr, A, (B) + PYKIT_MUTANT(blk_status_long));
)
 ...>
 }
