// SPDX-License-Identifier: GPL-2.0-only
// title: The size of a queue is written byte by byte.
// must: PL-DR-02
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression E;
@@
 vp_modern_set_queue_size(...) {
 <...
+ if (PYKIT_MUTANT(queue_size_by_bytes)) { vp_iowrite8(size & 0xff, (char *)&mdev->common->queue_size); vp_iowrite8(size >> 8, (char *)&mdev->common->queue_size + 1); return; }
 vp_iowrite16(size, E);
 ...>
 }
