// SPDX-License-Identifier: GPL-2.0-only
// title: A driver of the legacy interface sets FEATURES_OK.
// must: LG-ID-01
// ring: split
// file: drivers/virtio/virtio.c
// transport: pci-legacy
// count: 1
@@
@@
 virtio_features_ok(...) {
 <...
 if (!virtio_has_feature(dev, VIRTIO_F_VERSION_1))
+ {
+ if (PYKIT_MUTANT(legacy_features_ok)) virtio_add_status(dev, VIRTIO_CONFIG_S_FEATURES_OK);
 return 0;
+ }
 ...>
 }
