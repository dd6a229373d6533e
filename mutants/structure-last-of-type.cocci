// SPDX-License-Identifier: GPL-2.0-only
// title: Of several structures of a type, the driver uses the last one.
// must: PC-DR-02
// ring: both
// features: pio-notify
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
statement S;
@@
 virtio_pci_find_capability(...) {
 <...
+if (type == cfg_type && PYKIT_MUTANT(structure_last_of_type)) { int later = pci_find_next_capability(dev, pos, PCI_CAP_ID_VNDR); u8 kind = 0; for (; later > 0; later = pci_find_next_capability(dev, later, PCI_CAP_ID_VNDR)) { pci_read_config_byte(dev, later + 3, &kind); if (kind == cfg_type) break; } if (later > 0) continue; }
 if (type == cfg_type) S
 ...>
 }
