// SPDX-License-Identifier: GPL-2.0-only
// title: The event index asks for an interrupt of the entry behind the next one.
// must: DX-17 DX-40
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_enable_cb_prepare_split(...) {
 <...
+ if (PYKIT_MUTANT(split_used_event_late_one)) WRITE_ONCE(vring_used_event(&vq->split.vring), cpu_to_virtio16(vq->vq.vdev, vq->last_used_idx + 1));
 END_USE(vq);
 ...>
 }
