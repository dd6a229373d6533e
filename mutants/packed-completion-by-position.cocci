// SPDX-License-Identifier: GPL-2.0-only
// title: The driver takes the position of a used descriptor for its buffer id.
// must: DX-37
// bug: B58
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_get_buf_ctx_packed(...) {
 <...
- id = E;
+ id = PYKIT_MUTANT(packed_completion_by_position) ? last_used : E;
 ...>
 }
