// SPDX-License-Identifier: GPL-2.0-only
// title: The driver gives the device up after FEATURES_OK and does not set FAILED.
// must: IN-DR-06
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_dev_probe(...) {
 <...
 err = virtio_features_ok(dev);
+ if (PYKIT_MUTANT(failed_not_written)) return -ENODEV;
 ...>
 }
