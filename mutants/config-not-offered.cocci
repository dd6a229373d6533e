// SPDX-License-Identifier: GPL-2.0-only
// title: A configuration field is read whose feature was not offered.
// must: CF-DR-04
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_dev_probe(...) {
 <...
 err = virtio_features_ok(dev);
+ if (PYKIT_MUTANT(config_not_offered)) { u32 erase; dev->config->get(dev, 60, &erase, sizeof(erase)); }
 ...>
 }
