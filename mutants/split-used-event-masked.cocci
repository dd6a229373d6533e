// SPDX-License-Identifier: GPL-2.0-only
// title: The event index that asks for an interrupt is taken modulo the queue size.
// must: DX-17 DX-40
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_enable_cb_prepare_split(...) {
 <...
- vring_used_event(&vq->split.vring) = E;
+ vring_used_event(&vq->split.vring) = E;
+ if (PYKIT_MUTANT(split_used_event_masked)) vring_used_event(&vq->split.vring) &= cpu_to_virtio16(vq->vq.vdev, vq->split.vring.num - 1);
 ...>
 }
