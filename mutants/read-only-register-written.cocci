// SPDX-License-Identifier: GPL-2.0-only
// title: The number of queues, which cannot be written, is written.
// must: PM-DR-01
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
@@
 vp_modern_get_num_queues(...) {
+ if (PYKIT_MUTANT(read_only_register_written)) vp_iowrite16(1, &mdev->common->num_queues);
 ...
 }
