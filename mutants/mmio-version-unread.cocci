// SPDX-License-Identifier: GPL-2.0-only
// title: The driver does not look at Version.
// must: MI-DR-01 MR-DR-10
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression E;
@@
 virtio_mmio_probe(...) {
 <...
- vm_dev->version = readl(E);
+ vm_dev->version = PYKIT_MUTANT(mmio_version_unread) ? 2 : readl(E);
 ...>
 }
