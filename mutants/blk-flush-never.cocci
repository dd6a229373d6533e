// SPDX-License-Identifier: GPL-2.0-only
// title: FLUSH is acknowledged, and the cache taken for writethrough without a look.
// must: BI-DR-01 BI-DR-03
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_get_cache_mode(...) {
 <...
+ if (PYKIT_MUTANT(blk_flush_never)) return 0;
 err = virtio_cread_feature(...);
 ...>
 }
