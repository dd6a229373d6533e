// SPDX-License-Identifier: GPL-2.0-only
// title: FEATURES_OK is neither set nor read.
// must: IN-DR-01 ST-DR-01 IN-DR-05
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_features_ok(...) {
 <...
 might_sleep();
+ if (PYKIT_MUTANT(features_ok_missing)) return 0;
 ...>
 }
