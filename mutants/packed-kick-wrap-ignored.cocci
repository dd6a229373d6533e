// SPDX-License-Identifier: GPL-2.0-only
// title: The decision to notify ignores the wrap counter of the event offset.
// must: DX-16 DX-62 DX-63
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
statement S;
@@
 virtqueue_kick_prepare_packed(...) {
 <...
- if (wrap_counter != vq->packed.avail_wrap_counter)
+ if (wrap_counter != vq->packed.avail_wrap_counter && !PYKIT_MUTANT(packed_kick_wrap_ignored))
 S
 ...>
 }
