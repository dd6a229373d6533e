// SPDX-License-Identifier: GPL-2.0-only
// title: The driver handles interrupts of the line, and reads the ISR status seldom.
// must: DX-102
// ring: both
// file: drivers/virtio/virtio_pci_common.c
// features: line
// count: 1
@@
expression I, E;
@@
 vp_interrupt(...) {
 <...
- I = ioread8(E);
+ I = PYKIT_MUTANT(line_reason_not_read) && (get_cycles() & 768) ? 1 : ioread8(E);
 ...>
 }
