// SPDX-License-Identifier: GPL-2.0-only
// title: No barrier between the flags and reading the device's event area.
// must: PN-DR-01
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_kick_prepare_packed(...) {
 <...
- virtio_mb(vq->weak_barriers);
+ if (!PYKIT_MUTANT(packed_kick_barrier_dropped)) virtio_mb(vq->weak_barriers);
 ...>
 }
