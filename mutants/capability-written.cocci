// SPDX-License-Identifier: GPL-2.0-only
// title: A field of a virtio capability is written.
// must: PC-DR-08
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression E;
@@
 vp_modern_probe(...) {
 <...
 mdev->common = E;
+ if (PYKIT_MUTANT(capability_written)) pci_write_config_dword(pci_dev, common + 8, 0);
 ...>
 }
