// SPDX-License-Identifier: GPL-2.0-only
// title: A configuration field of 8 bits is read by an access of 16.
// must: PL-DR-01
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression E;
@@
 vp_get(...) {
 <...
 BUG_ON(E);
+ if (PYKIT_MUTANT(config_byte_by_half) && len == 1) { u8 *to = buf; to[0] = ioread16(device + offset); return; }
 ...>
 }
