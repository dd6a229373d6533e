// SPDX-License-Identifier: GPL-2.0-only
// title: A change of the configuration is ignored if the same interrupt is for used buffers.
// must: PG-DR-01 BO-DR-01
// ring: both
// file: drivers/virtio/virtio_pci_common.c
// features: line
// count: 1
@@
expression I;
@@
 vp_interrupt(...) {
 <...
- if (I & VIRTIO_PCI_ISR_CONFIG)
+ if ((I & VIRTIO_PCI_ISR_CONFIG) && !((I & 1) && PYKIT_MUTANT(line_change_ignored)))
 vp_config_changed(...);
 ...>
 }
