// SPDX-License-Identifier: GPL-2.0-only
// title: The event index is moved although callbacks are disabled.
// must: NU-DR-04
// bug: B02
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
statement S;
@@
 virtqueue_get_buf_ctx_split(...) {
 <...
- if (!(vq->split.avail_flags_shadow & VRING_AVAIL_F_NO_INTERRUPT))
+ if (PYKIT_MUTANT(split_used_event_while_disabled) || !(vq->split.avail_flags_shadow & VRING_AVAIL_F_NO_INTERRUPT))
 S
 ...>
 }
