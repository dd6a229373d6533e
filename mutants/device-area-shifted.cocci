// SPDX-License-Identifier: GPL-2.0-only
// title: The device is given an address inside the device area for its start.
// must: DX-72
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
@@
 vp_modern_queue_address(...) {
+ if (PYKIT_MUTANT(device_area_shifted)) device_addr += 64;
 ...
 }
