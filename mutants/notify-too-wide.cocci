// SPDX-License-Identifier: GPL-2.0-only
// title: A notification is a write of 32 bits.
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
- iowrite16(I, E);
+ if (PYKIT_MUTANT(notify_too_wide)) iowrite32(I, E); else iowrite16(I, E);
 ...>
 }
