// SPDX-License-Identifier: GPL-2.0-only
// title: Without the event index, interrupts stay suppressed after they were enabled.
// must: DX-17 DX-40
// may: NU-DE-03
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-event-idx
// count: 1
@@
statement S;
@@
 virtqueue_enable_cb_prepare_split(...) {
 <...
 vq->split.avail_flags_shadow &= ~VRING_AVAIL_F_NO_INTERRUPT;
- if (!vq->event)
+ if (!vq->event && !PYKIT_MUTANT(split_callback_flag_kept))
 S
 ...>
 }
