// SPDX-License-Identifier: GPL-2.0-only
// title: The driver knows where the device's structures are, and does not read it.
// must: OX-PL-01
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression A;
@@
 vp_modern_map_capability(...) {
 <...
- pci_read_config_dword(dev, A, &offset);
+ if (PYKIT_MUTANT(capability_not_read)) offset = minlen == 1 ? 0x1000 : minlen == 2 ? 0x3000 : minlen == 0 ? 0x2000 : 0; else pci_read_config_dword(dev, A, &offset);
 ...>
 }
