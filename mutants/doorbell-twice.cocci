// SPDX-License-Identifier: GPL-2.0-only
// title: Each notification is sent twice.
// must: NA-DR-07 NA-DR-03
// ring: both
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
statement S;
@@
 virtqueue_notify(...) {
 <...
+ if (PYKIT_MUTANT(doorbell_twice)) vq->notify(_vq);
 if (!vq->notify(_vq)) S
 ...>
 }
