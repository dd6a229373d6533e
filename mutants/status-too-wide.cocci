// SPDX-License-Identifier: GPL-2.0-only
// title: The status is written as a register of 16 bits.
// must: PL-DR-01
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
@@
 vp_modern_set_status(...) {
 <...
- vp_iowrite8(status, &cfg->device_status);
+ if (PYKIT_MUTANT(status_too_wide)) vp_iowrite16(status, (void *)&cfg->device_status); else vp_iowrite8(status, &cfg->device_status);
 ...>
 }
