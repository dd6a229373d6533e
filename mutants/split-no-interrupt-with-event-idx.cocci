// SPDX-License-Identifier: GPL-2.0-only
// title: With the event index the driver suppresses interrupts by the flag, too.
// must: NU-DR-03
// ring: split
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
@@
 virtqueue_disable_cb_split(...) {
 <...
 vq->split.avail_flags_shadow |= VRING_AVAIL_F_NO_INTERRUPT;
+ if (PYKIT_MUTANT(split_no_interrupt_with_event_idx)) vq->split.vring.avail->flags = cpu_to_virtio16(vq->vq.vdev, VRING_AVAIL_F_NO_INTERRUPT);
 ...>
 }
