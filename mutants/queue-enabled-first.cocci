// SPDX-License-Identifier: GPL-2.0-only
// title: A queue is enabled before its addresses are written.
// must: PM-DR-04
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression mdev, index, E;
@@
+ if (PYKIT_MUTANT(queue_enabled_first)) vp_modern_set_queue_enable(mdev, index, true);
 vp_modern_set_queue_size(mdev, index, E);
