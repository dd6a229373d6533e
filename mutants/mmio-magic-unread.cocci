// SPDX-License-Identifier: GPL-2.0-only
// title: The driver does not look at MagicValue.
// must: MI-DR-01 MR-DR-08
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
expression E;
@@
 virtio_mmio_probe(...) {
 <...
- magic = readl(E);
+ magic = PYKIT_MUTANT(mmio_magic_unread) ? ('v' | 'i' << 8 | 'r' << 16 | 't' << 24) : readl(E);
 ...>
 }
