// SPDX-License-Identifier: GPL-2.0-only
// title: The addresses of the driver area and the device area are swapped.
// must: DX-72
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
@@
 vp_modern_queue_address(...) {
+ if (PYKIT_MUTANT(areas_swapped)) swap(driver_addr, device_addr);
 ...
 }
