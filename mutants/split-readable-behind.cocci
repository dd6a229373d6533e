// SPDX-License-Identifier: GPL-2.0-only
// title: Descriptors of what the device reads begin eight bytes behind their buffers.
// must: DX-93
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression V, E;
@@
 virtqueue_add_desc_split(...) {
 <...
- cpu_to_virtio64(V, E)
+ cpu_to_virtio64(V, (E) + (!(flags & VRING_DESC_F_WRITE) && !(flags & VRING_DESC_F_INDIRECT) && PYKIT_MUTANT(split_readable_behind) ? 8 : 0))
 ...>
 }
