// SPDX-License-Identifier: GPL-2.0-only
// title: A list that fills the whole ring leaves the wrap counter as it was.
// must: DX-11 PS-DR-02 DX-16
// bug: B01
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: tiny
// count: 1
@@
statement S;
@@
 virtqueue_add_packed(...) {
 <...
- if (i <= head)
+ if (PYKIT_MUTANT(packed_wrap_full_ring) ? i < head : i <= head)
 S
 ...>
 }
