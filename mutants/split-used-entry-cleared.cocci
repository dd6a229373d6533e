// SPDX-License-Identifier: GPL-2.0-only
// title: The driver clears a used entry that it has taken.
// must: DX-73
// ring: split
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
@@
 virtqueue_get_buf_ctx_split(...) {
 <...
 detach_buf_split(vq, i, ctx);
+ if (PYKIT_MUTANT(split_used_entry_cleared)) vq->split.vring.used->ring[last_used].id = 0;
 ...>
 }
