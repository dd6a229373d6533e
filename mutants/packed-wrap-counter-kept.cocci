// SPDX-License-Identifier: GPL-2.0-only
// title: The wrap counter that decides on notifications is not flipped when the ring wraps.
// must: DX-62 DX-16
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
@@
 virtqueue_add_packed(...) {
 <...
- vq->packed.avail_wrap_counter ^= 1;
+ vq->packed.avail_wrap_counter ^= !PYKIT_MUTANT(packed_wrap_counter_kept);
 ...>
 }
