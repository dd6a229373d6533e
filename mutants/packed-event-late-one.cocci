// SPDX-License-Identifier: GPL-2.0-only
// title: The event offset asks for an interrupt of the descriptor behind the next used one.
// must: DX-66 DX-40
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_enable_cb_prepare_packed(...) {
 <...
+ if (PYKIT_MUTANT(packed_event_late_one) && vq->event && (vq->last_used_idx & 0x7fff) + 1 < vq->packed.vring.num) WRITE_ONCE(vq->packed.vring.driver->off_wrap, cpu_to_le16(vq->last_used_idx + 1));
 END_USE(vq);
 ...>
 }
