// SPDX-License-Identifier: GPL-2.0-only
// title: The addresses of a queue are written after it was enabled.
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
+ if (PYKIT_MUTANT(queue_address_after_enable)) vp_modern_queue_address(E, vq->index, virtqueue_get_desc_addr(vq), virtqueue_get_avail_addr(vq), virtqueue_get_used_addr(vq));
 ...>
 }
