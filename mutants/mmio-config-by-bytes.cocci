// SPDX-License-Identifier: GPL-2.0-only
// title: A configuration field of 32 bits is read byte by byte.
// must: MR-DR-07
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
statement S;
@@
 vm_get(...) {
 <...
- if (vm_dev->version == 1)
+ if (vm_dev->version == 1 || PYKIT_MUTANT(mmio_config_by_bytes))
 S
 ...>
 }
