// SPDX-License-Identifier: GPL-2.0-only
// title: DRIVER is never set: the driver goes from ACKNOWLEDGE to FEATURES_OK.
// must: IN-DR-01 ST-DR-01
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_dev_probe(...) {
 <...
- virtio_add_status(dev, VIRTIO_CONFIG_S_DRIVER);
+ if (!PYKIT_MUTANT(driver_missing)) virtio_add_status(dev, VIRTIO_CONFIG_S_DRIVER);
 ...>
 }
