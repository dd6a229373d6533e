// SPDX-License-Identifier: GPL-2.0-only
// title: Segments of a request to discard have a reserved flag.
// must: DX-74
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_setup_discard_write_zeroes_erase(...) {
 <...
+ if (PYKIT_MUTANT(blk_segment_flags_reserved) && !unmap) range[0].flags |= cpu_to_le32(2);
 WARN_ON_ONCE(n != segments);
 ...>
 }
