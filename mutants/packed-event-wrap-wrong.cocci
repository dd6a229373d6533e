// SPDX-License-Identifier: GPL-2.0-only
// title: The event offset has the wrong wrap counter.
// must: DX-66
// may: NU-DE-05
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_enable_cb_prepare_packed(...) {
 <...
- cpu_to_le16(vq->last_used_idx)
+ cpu_to_le16(vq->last_used_idx ^ (PYKIT_MUTANT(packed_event_wrap_wrong) ? 1 << VRING_PACKED_EVENT_F_WRAP_CTR : 0))
 ...>
 }
