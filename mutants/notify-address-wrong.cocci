// SPDX-License-Identifier: GPL-2.0-only
// title: A notification goes to the address of another queue.
// must: PK-DR-03 DX-34
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
+ iowrite16(I, E + (PYKIT_MUTANT(notify_address_wrong) ? 4 : 0));
 ...>
 }
