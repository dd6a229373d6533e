// SPDX-License-Identifier: GPL-2.0-only
// title: The last descriptor of a chain keeps its NEXT flag.
// must: DX-05 SD-DR-01 SI-DR-03 DX-08 DX-07
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_split(...) {
 <...
- desc[prev].flags &= E;
+ if (!PYKIT_MUTANT(split_last_keeps_next)) desc[prev].flags &= E;
 ...>
 }

// Since 7.2 the flag is set of all but the last.
@@
typedef u16;
identifier F;
expression C, E;
@@
 virtqueue_add_split(...) {
 <...
 u16 F = VRING_DESC_F_WRITE;
 ...
- if (C)
+ if (C || PYKIT_MUTANT(split_last_keeps_next))
 	F |= E;
 ...>
 }
