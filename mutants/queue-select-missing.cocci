// SPDX-License-Identifier: GPL-2.0-only
// title: A queue is enabled without having been selected.
// must: PM-DR-04 IN-DR-01 DX-36
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// features: two-queues
// count: 1
@@
@@
 vp_modern_set_queue_enable(...) {
 <...
- vp_iowrite16(index, &mdev->common->queue_select);
+ if (!PYKIT_MUTANT(queue_select_missing)) vp_iowrite16(index, &mdev->common->queue_select);
 ...>
 }
