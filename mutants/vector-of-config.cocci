// SPDX-License-Identifier: GPL-2.0-only
// title: The queue has the vector of configuration changes, whose handler does not look at it.
// must: DX-40 DX-36
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
@@
 vp_modern_queue_vector(...) {
+ if (PYKIT_MUTANT(vector_of_config) && vector != 0xffff) vector = 0;
 ...
 }
