// SPDX-License-Identifier: GPL-2.0-only
// title: Indirect tables are used exactly where they must not be.
// must: SI-DR-01 PI-DR-01
// ring: both
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
expression E;
@@
 virtqueue_use_indirect(...) {
 <...
- return E;
+ return (PYKIT_MUTANT(indirect_not_negotiated) && total_sg > 1) || (E);
 ...>
 }
