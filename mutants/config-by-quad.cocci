// SPDX-License-Identifier: GPL-2.0-only
// title: A configuration field of 64 bits is read by one access.
// must: PL-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// observe: access
// count: 1
@@
expression E;
@@
 vp_get(...) {
 <...
 BUG_ON(E);
+ if (PYKIT_MUTANT(config_by_quad) && len == 8) { u64 q = readq(device + offset); memcpy(buf, &q, sizeof(q)); return; }
 ...>
 }
