// SPDX-License-Identifier: GPL-2.0-only
// title: The driver writes descriptors that the device has not returned.
// must: PS-DR-05 PD-DR-01 DX-11
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
@@
 virtqueue_add_packed(...) {
 <...
- vq->vq.num_free -= descs_used;
+ vq->vq.num_free -= PYKIT_MUTANT(packed_free_count_wrong) ? 0 : descs_used;
 ...>
 }
