// SPDX-License-Identifier: GPL-2.0-only
// title: The vector of configuration changes is not read back.
// must: PQ-DR-05
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression E;
@@
 vp_modern_config_vector(...) {
 <...
- return vp_ioread16(E);
+ return PYKIT_MUTANT(config_vector_not_read_back) ? vector : vp_ioread16(E);
 ...>
 }
