// SPDX-License-Identifier: GPL-2.0-only
// title: More interrupts are acknowledged than the device has.
// must: MN-DR-03 MR-DR-21
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression A;
@@
 vm_interrupt(...) {
 <...
- writel(status, A);
+ writel(status | (PYKIT_MUTANT(mmio_ack_too_much) ? 3 : 0), A);
 ...>
 }
