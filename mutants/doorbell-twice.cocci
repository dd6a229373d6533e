// SPDX-License-Identifier: GPL-2.0-only
// title: Each notification is sent twice.
// must: NA-DR-07 DX-63
// ring: both
// file: drivers/virtio/virtio_ring.c
// features: no-ioeventfd
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
