// SPDX-License-Identifier: GPL-2.0-only
// title: A discard request reaches beyond the capacity.
// must: DX-21 BO-DR-02
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression E;
@@
 virtblk_setup_discard_write_zeroes_erase(...) {
 <...
- range[0].num_sectors = cpu_to_le32(E);
+ range[0].num_sectors = cpu_to_le32((E) + (PYKIT_MUTANT(blk_discard_beyond_capacity) ? 1 << 20 : 0));
 ...>
 }
