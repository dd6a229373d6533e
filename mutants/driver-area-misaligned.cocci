// SPDX-License-Identifier: GPL-2.0-only
// title: The driver area is not at a multiple of its alignment.
// must: VQ-DR-01 PV-DR-01 DX-72
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression A, B;
@@
 vp_modern_queue_address(...) {
 <...
- vp_iowrite64_twopart(driver_addr, A, B);
+ vp_iowrite64_twopart(driver_addr + PYKIT_MUTANT(driver_area_misaligned), A, B);
 ...>
 }
