// SPDX-License-Identifier: GPL-2.0-only
// title: The writeback field is read before FEATURES_OK.
// must: BI-DR-04
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_dev_probe(...) {
 <...
+ if (PYKIT_MUTANT(writeback_read_early)) { u8 wce; dev->config->get(dev, 32, &wce, sizeof(wce)); }
 err = virtio_features_ok(dev);
 ...>
 }
