// SPDX-License-Identifier: GPL-2.0-only
// title: The driver skips a used entry once in a while: its chain never ends.
// must: DX-37 DX-36
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_get_buf_ctx_split(...) {
 <...
(
- vq->last_used_idx++;
+ vq->last_used_idx += 1 + (PYKIT_MUTANT(split_used_skipped) && vq->last_used_idx % 32 == 31);
|
- vq->last_used_idx += E;
+ vq->last_used_idx += E + (PYKIT_MUTANT(split_used_skipped) && vq->last_used_idx % 32 == 31);
)
 ...>
 }
