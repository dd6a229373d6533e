// SPDX-License-Identifier: GPL-2.0-only
// title: The driver notifies although nothing was made available.
// must: NA-DR-07 DX-63
// ring: both
// file: drivers/virtio/virtio_ring.c
// features: no-ioeventfd
// count: 1
@@
statement S;
@@
 vring_interrupt(...) {
 <...
+ if (PYKIT_MUTANT(doorbell_without_buffers)) vq->notify(&vq->vq);
 if (!more_used(vq)) S
 ...>
 }
