// SPDX-License-Identifier: GPL-2.0-only
// title: The window of PCI configuration accesses lies in no structure of the device.
// must: PX-DR-02
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression E;
@@
 vp_modern_probe(...) {
 <...
 mdev->common = E;
+ if (PYKIT_MUTANT(window_outside)) { int pos; u8 type = 0; u32 word; for (pos = pci_find_capability(pci_dev, PCI_CAP_ID_VNDR); pos > 0; pos = pci_find_next_capability(pci_dev, pos, PCI_CAP_ID_VNDR)) { pci_read_config_byte(pci_dev, pos + 3, &type); if (type == 5) break; } pci_write_config_byte(pci_dev, pos + 4, 1); pci_write_config_dword(pci_dev, pos + 8, 0); pci_write_config_dword(pci_dev, pos + 12, 4); pci_read_config_dword(pci_dev, pos + 16, &word); }
 ...>
 }
