// SPDX-License-Identifier: GPL-2.0-only
// title: Without the event index the core leaves out every fourth notification.
// must: NA-DR-04 DX-16
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-event-idx
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_split(...) {
 <...
 END_USE(vq);
- return E;
+ return (E) && !(PYKIT_MUTANT(split_kick_flag_withheld) && new % 4 == 0);
 ...>
 }
