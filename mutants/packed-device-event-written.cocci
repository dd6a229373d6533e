// SPDX-License-Identifier: GPL-2.0-only
// title: The driver writes the device's event suppression structure.
// must: DX-71
// ring: packed
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
@@
 virtqueue_kick_prepare_packed(...) {
 <...
+ if (PYKIT_MUTANT(packed_device_event_written)) vq->packed.vring.device->flags = cpu_to_le16(VRING_PACKED_EVENT_FLAG_ENABLE);
 START_USE(vq);
 ...>
 }
