// SPDX-License-Identifier: GPL-2.0-only
// title: The driver does not read the status until it is zero after a reset.
// must: RS-DR-01
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression E;
statement S;
@@
 vp_reset(...) {
 <...
- while (E) S
+ if (!PYKIT_MUTANT(reset_not_waited)) while (E) S
 ...>
 }
