// SPDX-License-Identifier: GPL-2.0-only
// title: The size of a queue is written again after the queue was enabled.
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
+ if (PYKIT_MUTANT(queue_size_after_enable)) vp_iowrite16(virtqueue_get_vring_size(vq), &E->common->queue_size);
 ...>
 }
