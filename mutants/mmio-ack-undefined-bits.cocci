// SPDX-License-Identifier: GPL-2.0-only
// title: Interrupts are acknowledged with undefined bits.
// must: MR-DR-22
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
+ writel((V) | (PYKIT_MUTANT(mmio_ack_undefined_bits) ? 0x70 : 0), vm_dev->base + VIRTIO_MMIO_INTERRUPT_ACK);
 ...>
 }
