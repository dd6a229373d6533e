// SPDX-License-Identifier: GPL-2.0-only
// title: The last descriptor of a list carries NEXT.
// must: PS-DR-02 DX-12 DX-19 DX-11
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
@@
 virtqueue_add_packed(...) {
 <...
- (++c == total_sg ? 0 : VRING_DESC_F_NEXT)
+ (++c == total_sg && !PYKIT_MUTANT(packed_list_never_ends) ? 0 : VRING_DESC_F_NEXT)
 ...>
 }
