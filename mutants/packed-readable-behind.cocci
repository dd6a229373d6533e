// SPDX-License-Identifier: GPL-2.0-only
// title: Descriptors of what the device reads begin eight bytes behind their buffers.
// must: DX-93
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression I, E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
- desc[I].addr = cpu_to_le64(E);
+ desc[I].addr = cpu_to_le64((E) + (n < out_sgs && PYKIT_MUTANT(packed_readable_behind) ? 8 : 0));
 ...>
 }
