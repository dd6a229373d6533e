// SPDX-License-Identifier: GPL-2.0-only
// title: A configuration field of 32 bits is read byte by byte.
// must: PL-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression E;
@@
 vp_get(...) {
 <...
 BUG_ON(E);
+ if (PYKIT_MUTANT(config_by_bytes) && len == 4) { u8 *to = buf; unsigned int n; for (n = 0; n < len; n++) to[n] = ioread8(device + offset + n); return; }
 ...>
 }
