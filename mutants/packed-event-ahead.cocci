// SPDX-License-Identifier: GPL-2.0-only
// title: The event offset asks for an interrupt of a place behind all that is outstanding.
// must: DX-66 DX-40
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_enable_cb_prepare_packed(...) {
 <...
+ if (PYKIT_MUTANT(packed_event_ahead) && vq->event) WRITE_ONCE(vq->packed.vring.driver->off_wrap, cpu_to_le16((vq->last_used_idx & 0x7fff) + 8 < vq->packed.vring.num ? vq->last_used_idx + 8 : (vq->last_used_idx ^ 0x8000) + 8 - vq->packed.vring.num));
 END_USE(vq);
 ...>
 }
