// SPDX-License-Identifier: GPL-2.0-only
// title: The driver takes the offer from an earlier life instead of reading it.
// must: FB-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
@@
 vp_get_features(...) {
 <...
- return vp_modern_get_features(&vp_dev->mdev);
+ { static u64 known; if (!(known && PYKIT_MUTANT(offer_from_memory))) known = vp_modern_get_features(&vp_dev->mdev); return known; }
 ...>
 }

// Since 7.2 a device may offer more than 64 bits.
@@
expression E;
@@
 vp_get_features(...) {
 <...
- vp_modern_get_extended_features(E, features);
+ { static u64 known[VIRTIO_FEATURES_U64S]; if (known[0] && PYKIT_MUTANT(offer_from_memory)) memcpy(features, known, sizeof(known)); else vp_modern_get_extended_features(E, features); memcpy(known, features, sizeof(known)); }
 ...>
 }
