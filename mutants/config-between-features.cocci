// SPDX-License-Identifier: GPL-2.0-only
// title: A wide field is read when the lower half of the features was written.
// must: DX-33
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// absent: 7.2
// count: 1
@@
@@
 vp_modern_set_features(...) {
 <...
+ if (PYKIT_MUTANT(config_between_features)) ioread32(mdev->device + 20);
 vp_iowrite32(1, &cfg->guest_feature_select);
 ...>
 }
