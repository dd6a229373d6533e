// SPDX-License-Identifier: GPL-2.0-only
// title: The event index that asks for the next interrupt points at an entry that was already taken.
// must: DX-17
// may: NU-DE-05
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression X, D, E;
@@
 virtqueue_enable_cb_prepare_split(...) {
 <...
- vring_used_event(X) = cpu_to_virtio16(D, E);
+ vring_used_event(X) = cpu_to_virtio16(D, (E) - PYKIT_MUTANT(split_used_event_stale));
 ...>
 }
