// SPDX-License-Identifier: GPL-2.0-only
// title: A feature bit that the device did not offer is acknowledged.
// must: FB-DR-01
// may: FB-DR-05 FB-DR-08
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@new@
expression M, F;
@@
 vp_finalize_features(...) {
 <+...
- vp_modern_set_extended_features(M, F);
+ { vp_modern_set_extended_features(M, F); if (PYKIT_MUTANT(undefined_feature_acked)) vp_modern_set_features(M, vdev->features | BIT_ULL(50)); }
 ...+>
 }

@depends on !new@
expression M, F;
@@
 vp_finalize_features(...) {
 <...
- vp_modern_set_features(M, F);
+ vp_modern_set_features(M, (F) | (PYKIT_MUTANT(undefined_feature_acked) ? BIT_ULL(50) : 0));
 ...>
 }
