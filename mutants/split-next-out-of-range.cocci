// SPDX-License-Identifier: GPL-2.0-only
// title: The link of a descriptor leads out of the table.
// must: DX-05
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
expression D;
@@
 virtqueue_add_desc_split(...) {
 <...
- desc[i].next = cpu_to_virtio16(D, next);
+ desc[i].next = cpu_to_virtio16(D, next + (PYKIT_MUTANT(split_next_out_of_range) ? 4096 : 0));
 ...>
 }
