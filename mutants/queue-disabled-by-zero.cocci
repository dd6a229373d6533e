// SPDX-License-Identifier: GPL-2.0-only
// title: Zero is written to queue_enable.
// must: PM-DR-06
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
@@
 del_vq(...) {
 <...
+ if (PYKIT_MUTANT(queue_disabled_by_zero)) vp_modern_set_queue_enable(mdev, vq->index, false);
 vring_del_virtqueue(vq);
 ...>
 }
