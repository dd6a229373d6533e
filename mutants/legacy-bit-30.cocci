// SPDX-License-Identifier: GPL-2.0-only
// title: A driver of the legacy interface acknowledges feature bit 30.
// must: LG-RD-02 FB-DR-01
// ring: split
// file: drivers/virtio/virtio_pci_legacy.c
// transport: pci-legacy
// count: 1
@@
expression E, F;
@@
 vp_finalize_features(...) {
 <...
- vp_legacy_set_features(E, F);
+ vp_legacy_set_features(E, (F) | (PYKIT_MUTANT(legacy_bit_30) ? 1U << 30 : 0));
 ...>
 }
