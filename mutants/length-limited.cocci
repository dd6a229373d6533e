// SPDX-License-Identifier: GPL-2.0-only
// title: The driver refuses a device whose configuration structure is longer than it knows.
// must: CF-DR-05 CF-DR-06 PC-DR-06
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
@@
 vp_modern_map_capability(...) {
 <...
+ if (PYKIT_MUTANT(length_limited) && length > 256) return NULL;
 if (length <= start) { ... }
 ...>
 }
