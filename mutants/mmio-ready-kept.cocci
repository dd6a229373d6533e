// SPDX-License-Identifier: GPL-2.0-only
// title: A queue is let go without zero being written to its ready register.
// must: MR-DR-18
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
@@
 vm_del_vq(...) {
 <...
- writel(0, vm_dev->base + VIRTIO_MMIO_QUEUE_READY);
+ if (!PYKIT_MUTANT(mmio_ready_kept)) writel(0, vm_dev->base + VIRTIO_MMIO_QUEUE_READY);
 ...>
 }
