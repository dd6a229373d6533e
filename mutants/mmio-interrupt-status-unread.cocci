// SPDX-License-Identifier: GPL-2.0-only
// title: An interrupt is handled without its status being read.
// must: MN-DR-01
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression E;
@@
 vm_interrupt(...) {
 <...
- status = readl(E);
+ status = PYKIT_MUTANT(mmio_interrupt_status_unread) ? 1 : readl(E);
 ...>
 }
