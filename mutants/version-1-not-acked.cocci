// SPDX-License-Identifier: GPL-2.0-only
// title: VERSION_1 is offered and not acknowledged.
// must: RF-DR-01
// bug: B66
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@new@
expression M, F;
@@
 vp_finalize_features(...) {
 <+...
- vp_modern_set_extended_features(M, F);
+ { vp_modern_set_extended_features(M, F); if (PYKIT_MUTANT(version_1_not_acked)) vp_modern_set_features(M, vdev->features & ~BIT_ULL(VIRTIO_F_VERSION_1)); }
 ...+>
 }

@depends on !new@
expression M, F;
@@
 vp_finalize_features(...) {
 <...
- vp_modern_set_features(M, F);
+ vp_modern_set_features(M, (F) & ~(PYKIT_MUTANT(version_1_not_acked) ? BIT_ULL(VIRTIO_F_VERSION_1) : 0));
 ...>
 }
