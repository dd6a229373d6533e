// SPDX-License-Identifier: GPL-2.0-only
// title: The driver maps a structure's BAR from there to its end.
// must: PC-DR-05
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression B, O, L;
@@
 vp_modern_map_capability(...) {
 <...
- pci_iomap_range(dev, B, O, L)
+ pci_iomap_range(dev, B, O, PYKIT_MUTANT(bar_mapped_to_its_end) ? 0 : L)
 ...>
 }
