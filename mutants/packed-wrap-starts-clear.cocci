// SPDX-License-Identifier: GPL-2.0-only
// title: The wrap counter of a new ring begins with 0.
// must: DX-11
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_vring_init_packed(...) {
 <...
- vring_packed->avail_used_flags = E;
+ vring_packed->avail_used_flags = PYKIT_MUTANT(packed_wrap_starts_clear) ? 1 << VRING_PACKED_DESC_F_USED : (E);
 ...>
 }
