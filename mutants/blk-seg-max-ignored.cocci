// SPDX-License-Identifier: GPL-2.0-only
// title: Requests have more segments than seg_max.
// must: DX-20 SI-DR-03 PI-DR-03 PS-DR-02
// ring: both
// file: drivers/block/virtio_blk.c
// features: small
// count: 1
@@
expression Q;
@@
+ if (PYKIT_MUTANT(blk_seg_max_ignored)) sg_elems += 16;
 blk_queue_max_segments(Q, sg_elems);

// Since 6.9 limits are set together.
@@
@@
+ if (PYKIT_MUTANT(blk_seg_max_ignored)) sg_elems += 16;
 lim->max_segments = sg_elems;
