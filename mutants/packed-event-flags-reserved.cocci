// SPDX-License-Identifier: GPL-2.0-only
// title: The driver area's event flags hold the reserved value 3.
// must: DX-13
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: no-event-idx
// count: 1
@@
expression E;
@@
 virtqueue_disable_cb_packed(...) {
 <...
- vq->packed.vring.driver->flags = cpu_to_le16(E);
+ vq->packed.vring.driver->flags = cpu_to_le16(PYKIT_MUTANT(packed_event_flags_reserved) ? 3 : E);
 ...>
 }
