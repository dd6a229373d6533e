// SPDX-License-Identifier: GPL-2.0-only
// title: The driver takes devices of PCI revision 0 alone.
// must: PY-DR-03
// may: PY-DR-01
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
@@
 vp_modern_probe(...) {
 <...
+ if (PYKIT_MUTANT(revision_refused) && pci_dev->revision) return -EINVAL;
 mdev->id.vendor = pci_dev->subsystem_vendor;
 ...>
 }
