// SPDX-License-Identifier: GPL-2.0-only
// title: The configuration's generation is not read around a wide field.
// must: CF-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression E;
@@
 vp_generation(...) {
 <...
- return E;
+ return PYKIT_MUTANT(generation_not_read) ? 0 : E;
 ...>
 }
