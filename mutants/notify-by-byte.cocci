// SPDX-License-Identifier: GPL-2.0-only
// title: A notification is a write of 8 bits.
// must: PK-DR-01
// ring: both
// file: drivers/virtio/virtio_pci_common.c
// features: no-ioeventfd
// count: 1
@@
expression I, E;
@@
 vp_notify(...) {
 <...
+ if (PYKIT_MUTANT(notify_by_byte)) { iowrite8(vq->index, vq->priv); return true; }
 iowrite16(I, E);
 ...>
 }
