// SPDX-License-Identifier: GPL-2.0-only
// title: A notification names another queue.
// must: PK-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_common.c
// features: no-ioeventfd
// count: 1
@@
expression E;
@@
 vp_notify(...) {
 <...
- iowrite16(vq->index, E);
+ iowrite16(vq->index + PYKIT_MUTANT(notify_wrong_queue), E);
 ...>
 }
