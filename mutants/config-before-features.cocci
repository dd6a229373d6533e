// SPDX-License-Identifier: GPL-2.0-only
// title: A wide configuration field is read before the features are written.
// must: DX-33
// bug: B09
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_dev_probe(...) {
 <...
+ if (PYKIT_MUTANT(config_before_features)) { u32 size; dev->config->get(dev, 20, &size, sizeof(size)); }
 virtio_add_status(dev, VIRTIO_CONFIG_S_DRIVER);
 ...>
 }
