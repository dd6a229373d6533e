// SPDX-License-Identifier: GPL-2.0-only
// title: The head of a list is exposed before its other descriptors.
// must: PS-DR-06
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// observe: access
// count: 1
@@
@@
 virtqueue_add_packed(...) {
 <...
 if (i == head)
 head_flags = flags;
 else
 desc[i].flags = flags;
+ if (PYKIT_MUTANT(packed_head_first)) desc[i].flags = flags;
 ...>
 }
