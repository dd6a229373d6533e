// SPDX-License-Identifier: GPL-2.0-only
// title: The core notifies although the device's event flags forbid it.
// must: DX-63
// ring: packed
// file: drivers/virtio/virtio_ring.c
// scenario: mutant-waiting
// features: no-event-idx
// count: 1
@@
@@
 virtqueue_kick_prepare_packed(...) {
 <...
- needs_kick = (flags != VRING_PACKED_EVENT_FLAG_DISABLE);
+ needs_kick = (flags != VRING_PACKED_EVENT_FLAG_DISABLE) || PYKIT_MUTANT(packed_kick_flag_ignored);
 ...>
 }
