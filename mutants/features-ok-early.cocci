// SPDX-License-Identifier: GPL-2.0-only
// title: FEATURES_OK is set before the features are written.
// must: IN-DR-04 IN-DR-01
// may: ST-DE-04 FB-DE-05
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_dev_probe(...) {
 <...
 virtio_add_status(dev, VIRTIO_CONFIG_S_DRIVER);
+ if (PYKIT_MUTANT(features_ok_early)) virtio_add_status(dev, VIRTIO_CONFIG_S_FEATURES_OK);
 ...>
 }
