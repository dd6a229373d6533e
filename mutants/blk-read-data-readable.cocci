// SPDX-License-Identifier: GPL-2.0-only
// title: The room for the data of a read is marked for the device to read.
// must: DX-19
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression C, E;
@@
 virtblk_add_req(...) {
 <...
 if (C) sgs[num_out++] = E;
 else
- sgs[num_out + num_in++] = E;
+ sgs[PYKIT_MUTANT(blk_read_data_readable) ? num_out++ : num_out + num_in++] = E;
 ...>
 }
