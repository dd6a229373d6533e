// SPDX-License-Identifier: GPL-2.0-only
// title: The data of a write are marked for the device to write into.
// must: DX-19
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression C, E;
statement S;
@@
 virtblk_add_req(...) {
 <...
- if (C)
+ if ((C) && !PYKIT_MUTANT(blk_write_data_writable))
 sgs[num_out++] = E;
 else S
 ...>
 }
