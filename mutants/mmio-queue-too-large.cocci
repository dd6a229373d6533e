// SPDX-License-Identifier: GPL-2.0-only
// title: The size of the queue exceeds the device's maximum.
// must: MR-DR-16
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression E;
@@
 vm_setup_vq(...) {
 <...
- writel(E, vm_dev->base + VIRTIO_MMIO_QUEUE_NUM);
+ writel((E) * (PYKIT_MUTANT(mmio_queue_too_large) ? 64 : 1), vm_dev->base + VIRTIO_MMIO_QUEUE_NUM);
 ...>
 }
