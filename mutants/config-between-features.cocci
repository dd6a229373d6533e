// SPDX-License-Identifier: GPL-2.0-only
// title: A wide field is read when the lower half of the features was written.
// must: DX-33
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
@@
 vp_modern_set_features(...) {
 <...
+ if (PYKIT_MUTANT(config_between_features)) ioread32(mdev->device + 20);
 vp_iowrite32(1, &cfg->guest_feature_select);
 ...>
 }

// Since 7.2 a driver may acknowledge more than 64 bits.
@@
@@
 vp_modern_set_extended_features(...) {
 <...
+ if (i == 1 && PYKIT_MUTANT(config_between_features)) ioread32(mdev->device + 20);
 vp_iowrite32(i, &cfg->guest_feature_select);
 ...>
 }
