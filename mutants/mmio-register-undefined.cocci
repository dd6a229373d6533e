// SPDX-License-Identifier: GPL-2.0-only
// title: The driver reads at an offset that has no register.
// must: MR-DR-01
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
@@
 vm_set_status(...) {
 <...
+ if (PYKIT_MUTANT(mmio_register_undefined)) readl(vm_dev->base + 0x0f4);
 writel(status, vm_dev->base + VIRTIO_MMIO_STATUS);
 ...>
 }
