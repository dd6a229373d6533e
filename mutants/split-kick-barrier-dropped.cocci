// SPDX-License-Identifier: GPL-2.0-only
// title: No barrier between the available index and the decision to notify.
// must: SN-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_kick_prepare_split(...) {
 <...
- virtio_mb(vq->weak_barriers);
+ if (!PYKIT_MUTANT(split_kick_barrier_dropped)) virtio_mb(vq->weak_barriers);
 ...>
 }
