// SPDX-License-Identifier: GPL-2.0-only
// title: A write-only register is read.
// must: MR-DR-03
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression I, E;
@@
 vm_notify(...) {
 <...
+ if (PYKIT_MUTANT(mmio_write_only_read)) readl(vm_dev->base + VIRTIO_MMIO_QUEUE_NOTIFY);
 writel(I, E);
 ...>
 }
