// SPDX-License-Identifier: GPL-2.0-only
// title: DRIVER_OK is set before FEATURES_OK.
// must: IN-DR-01
// may: ST-DR-01
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
expression E;
@@
 virtio_features_ok(...) {
 <...
+ if (PYKIT_MUTANT(driver_ok_early)) virtio_add_status(dev, VIRTIO_CONFIG_S_DRIVER_OK);
 virtio_add_status(E, VIRTIO_CONFIG_S_FEATURES_OK);
 ...>
 }
