// SPDX-License-Identifier: GPL-2.0-only
// title: The ready register is not read back when a queue is let go.
// must: MR-DR-19
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression E;
@@
 vm_del_vq(...) {
 <...
- WARN_ON(readl(E));
+ if (!PYKIT_MUTANT(mmio_ready_not_read_back)) WARN_ON(readl(E));
 ...>
 }
