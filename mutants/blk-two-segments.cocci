// SPDX-License-Identifier: GPL-2.0-only
// title: A request to discard or to zero has more segments than the device takes.
// must: BO-DR-09 BO-DR-11
// ring: both
// file: drivers/block/virtio_blk.c
// count: 2
@@
@@
 virtblk_setup_discard_write_zeroes_erase(...) {
 <...
(
- range = kmalloc_array(segments, sizeof(*range), GFP_ATOMIC);
+ range = kmalloc_array(segments + PYKIT_MUTANT(blk_two_segments), sizeof(*range), GFP_ATOMIC);
|
- range = kmalloc_objs(*range, segments, GFP_ATOMIC);
+ range = kmalloc_objs(*range, segments + PYKIT_MUTANT(blk_two_segments), GFP_ATOMIC);
)
 ...>
 }

@@
@@
 virtblk_setup_discard_write_zeroes_erase(...) {
 <...
+ if (PYKIT_MUTANT(blk_two_segments)) { range[n] = range[n - 1]; n++; segments++; }
 WARN_ON_ONCE(n != segments);
 ...>
 }
