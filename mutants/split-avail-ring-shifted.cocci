// SPDX-License-Identifier: GPL-2.0-only
// title: The head is written into the entry behind the one that is exposed.
// must: DX-07 DX-05
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_split(...) {
 <...
- avail = E & (vq->split.vring.num - 1);
+ avail = (E + PYKIT_MUTANT(split_avail_ring_shifted)) & (vq->split.vring.num - 1);
 ...>
 }
