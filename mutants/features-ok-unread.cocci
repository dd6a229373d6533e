// SPDX-License-Identifier: GPL-2.0-only
// title: The status is not read back after FEATURES_OK was written.
// must: IN-DR-05
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_features_ok(...) {
 ... when any
 virtio_add_status(dev, VIRTIO_CONFIG_S_FEATURES_OK);
- status = dev->config->get_status(dev);
+ status = PYKIT_MUTANT(features_ok_unread) ? VIRTIO_CONFIG_S_FEATURES_OK : dev->config->get_status(dev);
 ...
 }
