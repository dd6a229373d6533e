// SPDX-License-Identifier: GPL-2.0-only
// title: No barrier between a descriptor and the flags that expose it.
// must: PF-DR-01
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_indirect_packed(...) {
 <...
- virtio_wmb(vq->weak_barriers);
+ if (!PYKIT_MUTANT(packed_flags_barrier_dropped)) virtio_wmb(vq->weak_barriers);
 ...>
 }
