// SPDX-License-Identifier: GPL-2.0-only
// title: A queue is made ready before its addresses are written.
// must: MR-DR-17
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
@@
 vm_setup_vq(...) {
 <...
 addr = virtqueue_get_desc_addr(vq);
+ if (PYKIT_MUTANT(mmio_ready_first)) writel(1, vm_dev->base + VIRTIO_MMIO_QUEUE_READY);
 ...>
 }
