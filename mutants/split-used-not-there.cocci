// SPDX-License-Identifier: GPL-2.0-only
// title: The driver takes a used entry that is not there yet.
// must: DX-37
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
statement S;
@@
 virtqueue_get_buf_ctx_split(...) {
 <...
- if (!more_used_split(vq))
+ if (!more_used_split(vq) && !(PYKIT_MUTANT(split_used_not_there) && vq->last_used_idx > 70))
 S
 ...>
 }
