// SPDX-License-Identifier: GPL-2.0-only
// title: The driver writes the device's event index along with its own.
// must: DX-73
// ring: split
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
@@
 virtqueue_enable_cb_prepare_split(...) {
 <...
+ if (PYKIT_MUTANT(split_avail_event_written) && vq->event) vring_avail_event(&vq->split.vring) = cpu_to_virtio16(vq->vq.vdev, vq->last_used_idx);
 END_USE(vq);
 ...>
 }
