// SPDX-License-Identifier: GPL-2.0-only
// title: With the event index, the device's flag decides on notifications.
// must: NA-DR-05 NA-DR-07
// ring: split
// file: drivers/virtio/virtio_ring.c
// scenario: mutant-waiting
// count: 1
@@
expression E; statement S1, S2;
@@
 virtqueue_kick_prepare_split(...) {
 <...
- if (E)
+ if (!PYKIT_MUTANT(split_kick_by_flag) && (E))
 S1 else S2
 ...>
 }
