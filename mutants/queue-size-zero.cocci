// SPDX-License-Identifier: GPL-2.0-only
// title: Zero is written to the size of a queue before its size.
// must: PM-DR-02 PM-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression V;
@@
 vp_modern_set_queue_size(...) {
 <...
+ if (PYKIT_MUTANT(queue_size_zero)) vp_iowrite16(0, &mdev->common->queue_size);
 vp_iowrite16(V, &mdev->common->queue_size);
 ...>
 }
