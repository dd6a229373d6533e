// SPDX-License-Identifier: GPL-2.0-only
// title: The status register is written by a byte.
// must: MR-DR-04
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression E;
@@
 vm_set_status(...) {
 <...
- writel(status, E);
+ if (PYKIT_MUTANT(mmio_status_by_bytes)) writeb(status, E); else writel(status, E);
 ...>
 }
