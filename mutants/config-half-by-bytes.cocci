// SPDX-License-Identifier: GPL-2.0-only
// title: A configuration field of 16 bits is read byte by byte.
// must: PL-DR-02
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression E;
@@
 vp_get(...) {
 <...
 BUG_ON(E);
+ if (PYKIT_MUTANT(config_half_by_bytes) && len == 2) { u8 *to = buf; to[0] = ioread8(device + offset); to[1] = ioread8(device + offset + 1); return; }
 ...>
 }
