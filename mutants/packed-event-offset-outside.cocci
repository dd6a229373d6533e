// SPDX-License-Identifier: GPL-2.0-only
// title: The event offset lies outside the ring.
// must: DX-69
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_enable_cb_prepare_packed(...) {
 <...
+ if (PYKIT_MUTANT(packed_event_offset_outside) && vq->event) WRITE_ONCE(vq->packed.vring.driver->off_wrap, cpu_to_le16((vq->last_used_idx & 0x8000) | vq->packed.vring.num));
 END_USE(vq);
 ...>
 }
