// SPDX-License-Identifier: GPL-2.0-only
// title: A request consists of its header.
// must: DX-19
// bug: B45
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_add_req(...) {
 <...
+ if (PYKIT_MUTANT(blk_header_only)) { num_out = 1; num_in = 0; }
 return virtqueue_add_sgs(...);
 ...>
 }
