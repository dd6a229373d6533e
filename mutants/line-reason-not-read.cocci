// SPDX-License-Identifier: GPL-2.0-only
// title: The driver handles interrupts of the line, and reads the ISR status one time in four.
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
+ I = PYKIT_MUTANT(line_reason_not_read) && ({ static unsigned int pykit_calls; ++pykit_calls & 3; }) ? 1 : ioread8(E);
 ...>
 }
