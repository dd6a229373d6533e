// SPDX-License-Identifier: GPL-2.0-only
// title: A second queue is given the addresses of the first.
// must: DX-72
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// features: two-queues
// count: 1
@@
@@
 vp_modern_queue_address(...) {
+ static u64 pykit_first[3];
+ if (!index) { pykit_first[0] = desc_addr; pykit_first[1] = driver_addr; pykit_first[2] = device_addr; }
+ if (index && PYKIT_MUTANT(queues_share_ring)) { desc_addr = pykit_first[0]; driver_addr = pykit_first[1]; device_addr = pykit_first[2]; }
 ...
 }
