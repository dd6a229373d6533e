// SPDX-License-Identifier: GPL-2.0-only
// title: The decision to notify looks at the newest descriptor alone.
// must: DX-16 DX-62
// bug: B69
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_packed(...) {
 <...
- old = E;
+ old = PYKIT_MUTANT(packed_kick_last_only) ? vq->packed.next_avail_idx - 1 : E;
 ...>
 }
