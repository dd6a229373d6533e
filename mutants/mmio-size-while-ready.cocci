// SPDX-License-Identifier: GPL-2.0-only
// title: The size of a queue is written while the queue is ready.
// must: MR-DR-17
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression E;
@@
 vm_setup_vq(...) {
 <...
 writel(E, vm_dev->base + VIRTIO_MMIO_QUEUE_USED_HIGH);
 writel(1, vm_dev->base + VIRTIO_MMIO_QUEUE_READY);
+ if (PYKIT_MUTANT(mmio_size_while_ready)) writel(virtqueue_get_vring_size(vq), vm_dev->base + VIRTIO_MMIO_QUEUE_NUM);
 ...>
 }
