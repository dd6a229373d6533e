// SPDX-License-Identifier: GPL-2.0-only
// title: The event offset that asks for the next interrupt is not moved.
// must: DX-66
// may: NU-DE-05
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_enable_cb_prepare_packed(...) {
 <...
- vq->packed.vring.driver->off_wrap = E;
+ vq->packed.vring.driver->off_wrap = PYKIT_MUTANT(packed_event_offset_stale) ? cpu_to_le16(1 << VRING_PACKED_EVENT_F_WRAP_CTR) : E;
 ...>
 }
