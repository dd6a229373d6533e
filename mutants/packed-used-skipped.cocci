// SPDX-License-Identifier: GPL-2.0-only
// title: The driver skips used entries of a packed ring.
// must: DX-67 DX-36
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_get_buf_ctx_packed(...) {
 <...
- last_used += E;
+ last_used += E + (PYKIT_MUTANT(packed_used_skipped) && last_used % 32 == 31);
 ...>
 }

@@
expression E;
@@
 update_last_used_idx_packed(...) {
 <...
- last_used += E;
+ last_used += E + (PYKIT_MUTANT(packed_used_skipped) && last_used % 32 == 31);
 ...>
 }
