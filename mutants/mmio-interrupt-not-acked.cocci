// SPDX-License-Identifier: GPL-2.0-only
// title: Interrupts are not acknowledged.
// must: MN-DR-03 MR-DR-21
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression V;
@@
 vm_interrupt(...) {
 <...
- writel(V, vm_dev->base + VIRTIO_MMIO_INTERRUPT_ACK);
+ if (!PYKIT_MUTANT(mmio_interrupt_not_acked)) writel(V, vm_dev->base + VIRTIO_MMIO_INTERRUPT_ACK);
 ...>
 }
