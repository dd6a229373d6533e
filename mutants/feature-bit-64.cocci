// SPDX-License-Identifier: GPL-2.0-only
// title: A feature bit above 63, which was not offered, is acknowledged.
// must: FB-DR-01 FB-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
@@
 vp_modern_set_features(...) {
 <...
 vp_iowrite32(features >> 32, &cfg->guest_feature);
+ if (PYKIT_MUTANT(feature_bit_64)) { vp_iowrite32(2, &cfg->guest_feature_select); vp_iowrite32(1, &cfg->guest_feature); }
 ...>
 }

// Since 7.2 a driver writes four windows of 32 bits.
@@
@@
 vp_modern_set_extended_features(...) {
 <...
- vp_iowrite32(cur, &cfg->guest_feature);
+ vp_iowrite32(i == 2 && PYKIT_MUTANT(feature_bit_64) ? cur | 1 : cur, &cfg->guest_feature);
 ...>
 }
