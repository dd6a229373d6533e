// SPDX-License-Identifier: GPL-2.0-only
// title: A notification names another queue.
// must: DX-40 NA-DR-06 DX-16
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression E;
@@
 vm_notify(...) {
 <...
- writel(vq->index, E);
+ writel(vq->index + PYKIT_MUTANT(mmio_notify_wrong_queue), E);
 ...>
 }
