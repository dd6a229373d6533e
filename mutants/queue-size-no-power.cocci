// SPDX-License-Identifier: GPL-2.0-only
// title: The size of a split queue is no power of 2.
// must: PM-DR-03
// ring: split
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression E;
@@
 vp_modern_set_queue_size(...) {
 <...
- vp_iowrite16(size, E);
+ vp_iowrite16(size - (PYKIT_MUTANT(queue_size_no_power) ? 1 : 0), E);
 ...>
 }
