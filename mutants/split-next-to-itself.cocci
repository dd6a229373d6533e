// SPDX-License-Identifier: GPL-2.0-only
// title: A writable descriptor of a chain links to itself.
// must: SD-DR-01 SI-DR-03 DX-07
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
expression D, E;
@@
 virtqueue_add_desc_split(...) {
 <...
- desc[i].next = cpu_to_virtio16(D, E);
+ desc[i].next = cpu_to_virtio16(D, (flags & VRING_DESC_F_WRITE) && PYKIT_MUTANT(split_next_to_itself) ? i : (E));
 ...>
 }
