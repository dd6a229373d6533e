// SPDX-License-Identifier: GPL-2.0-only
// title: The configuration's generation is read before a wide field, and not behind it.
// must: CF-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 2
@@
expression E;
@@
 vp_generation(...) {
 <...
+ static u32 last[2];
+ if (PYKIT_MUTANT(generation_before_alone)) { last[1] = !last[1]; if (last[1]) last[0] = E; }
- return E;
+ return PYKIT_MUTANT(generation_before_alone) ? last[0] : E;
 ...>
 }
