// SPDX-License-Identifier: GPL-2.0-only
// title: The vector of configuration changes is not below the size of the MSI-X table.
// must: PQ-DR-04
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression E;
@@
 vp_modern_config_vector(...) {
 <...
- vp_iowrite16(vector, E);
+ vp_iowrite16(vector + (PYKIT_MUTANT(config_vector_out_of_table) && vector != 0xffff ? 0x700 : 0), E);
 ...>
 }
