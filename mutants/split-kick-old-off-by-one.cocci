// SPDX-License-Identifier: GPL-2.0-only
// title: The decision to notify leaves out the first entry of the batch.
// must: NA-DR-06 DX-16
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_split(...) {
 <...
- old = E;
+ old = E + PYKIT_MUTANT(split_kick_old_off_by_one);
 ...>
 }
