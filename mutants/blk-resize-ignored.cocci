// SPDX-License-Identifier: GPL-2.0-only
// title: The driver does not look at the capacity when the configuration changed.
// must: BO-DR-01
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression W, X;
@@
 virtblk_config_changed(...) {
 <...
- queue_work(W, X);
+ if (!PYKIT_MUTANT(blk_resize_ignored)) queue_work(W, X);
 ...>
 }
