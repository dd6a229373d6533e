// SPDX-License-Identifier: GPL-2.0-only
// title: Without the event index the core notifies although the device asked it not to.
// must: NA-DR-03
// ring: split
// file: drivers/virtio/virtio_ring.c
// scenario: mutant-waiting
// features: no-event-idx
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_split(...) {
 <...
- needs_kick = !(E);
+ needs_kick = !(E) || PYKIT_MUTANT(split_kick_flag_ignored);
 ...>
 }
