// SPDX-License-Identifier: GPL-2.0-only
// title: Without the event index, the available ring's flags hold 2.
// must: NU-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-event-idx
// count: 1
@@
@@
 virtqueue_enable_cb_prepare_split(...) {
 ...
+ if (PYKIT_MUTANT(split_avail_flags_undefined) && !vq->event) vq->split.vring.avail->flags = cpu_to_virtio16(vq->vq.vdev, 2);
 END_USE(vq);
 ...
 }
