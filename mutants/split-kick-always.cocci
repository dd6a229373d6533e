// SPDX-License-Identifier: GPL-2.0-only
// title: The core notifies for every batch, whatever the device asked for.
// must: NA-DR-07
// ring: split
// file: drivers/virtio/virtio_ring.c
// scenario: mutant-waiting
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_split(...) {
 <...
 END_USE(vq);
- return E;
+ return PYKIT_MUTANT(split_kick_always) || (E);
 ...>
 }
