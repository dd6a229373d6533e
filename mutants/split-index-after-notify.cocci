// SPDX-License-Identifier: GPL-2.0-only
// title: The available index is published after the notification.
// must: NA-DR-06 DX-40 DX-103
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-ioeventfd
// count: 2
@@
expression E;
@@
 virtqueue_add_split(...) {
 <...
- vq->split.vring.avail->idx = cpu_to_virtio16(E, vq->split.avail_idx_shadow);
+ if (!PYKIT_MUTANT(split_index_after_notify)) vq->split.vring.avail->idx = cpu_to_virtio16(E, vq->split.avail_idx_shadow);
 ...>
 }

@@
statement S;
@@
 virtqueue_notify(...) {
 <...
 if (!vq->notify(_vq)) S
+ if (PYKIT_MUTANT(split_index_after_notify) && !virtio_has_feature(vq->vq.vdev, VIRTIO_F_RING_PACKED)) vq->split.vring.avail->idx = cpu_to_virtio16(vq->vq.vdev, vq->split.avail_idx_shadow);
 ...>
 }
