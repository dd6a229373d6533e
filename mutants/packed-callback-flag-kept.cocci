// SPDX-License-Identifier: GPL-2.0-only
// title: Without the event index, interrupts stay suppressed after they were enabled.
// must: DX-66 DX-40
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: no-event-idx
// count: 1
@@
@@
 virtqueue_enable_cb_prepare_packed(...) {
 <...
+ if (PYKIT_MUTANT(packed_callback_flag_kept)) vq->packed.vring.driver->flags = cpu_to_le16(VRING_PACKED_EVENT_FLAG_DISABLE);
 END_USE(vq);
 ...>
 }
