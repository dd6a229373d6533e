// SPDX-License-Identifier: GPL-2.0-only
// title: An address of a queue is written by accesses of 16 bits.
// must: PL-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression E, F;
@@
 vp_modern_queue_address(...) {
 <...
 vp_iowrite64_twopart(desc_addr, E, F);
+ if (PYKIT_MUTANT(queue_address_by_halves)) { u16 *half = (u16 *)&cfg->queue_desc_lo; int part; for (part = 0; part < 4; part++) vp_iowrite16(desc_addr >> 16 * part, half + part); }
 ...>
 }
