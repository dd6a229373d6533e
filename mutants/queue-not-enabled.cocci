// SPDX-License-Identifier: GPL-2.0-only
// title: The driver uses a queue that it never enabled.
// must: PM-DR-04 IN-DR-01 DX-36
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression E;
@@
 vp_modern_find_vqs(...) {
 <...
- vp_modern_set_queue_enable(E, vq->index, true);
+ if (!PYKIT_MUTANT(queue_not_enabled)) vp_modern_set_queue_enable(E, vq->index, true);
 ...>
 }
