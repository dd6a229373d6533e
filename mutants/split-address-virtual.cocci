// SPDX-License-Identifier: GPL-2.0-only
// title: Descriptors have the kernel's virtual addresses of their buffers.
// must: RF-DR-05
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression V;
@@
 virtqueue_add_desc_split(...) {
 <...
- cpu_to_virtio64(V, addr)
+ cpu_to_virtio64(V, addr | (PYKIT_MUTANT(split_address_virtual) ? 0xffff888000000000ULL : 0))
 ...>
 }
