// SPDX-License-Identifier: GPL-2.0-only
// title: A queue's vector is written when the queue is enabled.
// must: PM-DR-04
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression E;
@@
 vp_modern_find_vqs(...) {
 <...
 vp_modern_set_queue_enable(E, vq->index, true);
+ if (PYKIT_MUTANT(vector_after_enable)) vp_modern_queue_vector(E, vq->index, 1);
 ...>
 }
