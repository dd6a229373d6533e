// SPDX-License-Identifier: GPL-2.0-only
// title: The features are written again, with one less, after FEATURES_OK.
// must: IN-DR-04
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_dev_probe(...) {
 <...
 err = virtio_features_ok(dev);
+ if (PYKIT_MUTANT(features_changed_late) && !err) { __virtio_clear_bit(dev, 9); err = dev->config->finalize_features(dev); }
 ...>
 }
