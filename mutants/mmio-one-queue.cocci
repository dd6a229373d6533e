// SPDX-License-Identifier: GPL-2.0-only
// title: An interrupt is taken for the first queue's alone.
// must: MN-DR-02 DX-40
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// features: two-queues
// observe: access
// count: 1
@@
iterator name virtio_device_for_each_vq;
expression Q;
@@
 vm_interrupt(...) {
 <...
- vring_interrupt(irq, Q)
+ (PYKIT_MUTANT(mmio_one_queue) && (Q)->index ? IRQ_NONE : vring_interrupt(irq, Q))
 ...>
 }
