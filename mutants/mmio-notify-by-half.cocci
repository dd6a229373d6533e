// SPDX-License-Identifier: GPL-2.0-only
// title: A notification is a write of 16 bits.
// must: MR-DR-04
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression E, V;
@@
 vm_notify(...) {
 <...
- writel(V, E);
+ if (PYKIT_MUTANT(mmio_notify_by_half)) writew(vq->index, vm_dev->base + VIRTIO_MMIO_QUEUE_NOTIFY); else writel(V, E);
 ...>
 }
