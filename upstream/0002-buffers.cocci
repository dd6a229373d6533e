// SPDX-License-Identifier: GPL-2.0-only
// subject: virtio_ring: trace buffers
// file: drivers/virtio/virtio_ring.c
// count: 18
//
// Trace where a virtqueue comes and goes, where a buffer is made available,
// with its descriptors if they are asked for, and where a used entry is taken
// or refused.
@@
identifier new =~ "^__vring_new_virtqueue_(split|packed)$";
@@
 new(...) {
 <...
+ vring_trace_state(vq, VIRTQUEUE_NEW);
 return &vq->vq;
 ...>
 }

@@
@@
 vring_del_virtqueue(...) {
 <...
+ vring_trace_state(vq, VIRTQUEUE_DELETE);
 spin_lock(&vq->vq.vdev->vqs_list_lock);
 ...>
 }

@@
@@
 virtqueue_add_split(...) {
 <...
+ vring_trace_add(vq, sgs, out_sgs, in_sgs, premapped, head, descs_used, total_sg, indirect);
 pr_debug("Added buffer head %i to %p\n", head, vq);
 ...>
 }

@@
@@
 virtqueue_add_indirect_packed(...) {
 <...
+ vring_trace_add(vq, sgs, out_sgs, in_sgs, premapped, id, 1, total_sg, true);
 pr_debug("Added buffer head %i to %p\n", head, vq);
 ...>
 }

@@
@@
 virtqueue_add_packed(...) {
 <...
+ vring_trace_add(vq, sgs, out_sgs, in_sgs, premapped, id, descs_used, total_sg, false);
 pr_debug("Added buffer head %i to %p\n", head, vq);
 ...>
 }

@@
@@
 virtqueue_add_packed_in_order(...) {
 <...
+ vring_trace_add(vq, sgs, out_sgs, in_sgs, premapped, head, total_sg, total_sg, false);
 pr_debug("Added buffer head %i to %p\n", head, vq);
 ...>
 }

@@
@@
 virtqueue_get_buf_ctx_split(...) {
 <...
(
+ vring_trace_used(vq, vq->last_used_idx, i, *len, false);
 BAD_RING(...);
|
+ vring_trace_used(vq, vq->last_used_idx - 1, i, *len, true);
 LAST_ADD_TIME_INVALID(vq);
)
 ...>
 }

@@
@@
 virtqueue_get_buf_ctx_split_in_order(...) {
 <...
(
+ vring_trace_used(vq, vq->last_used_idx, last_used, *len, false);
 BAD_RING(...);
|
+ vring_trace_used(vq, vq->last_used_idx - 1, last_used, *len, true);
 LAST_ADD_TIME_INVALID(vq);
)
 ...>
 }

@@
@@
 virtqueue_get_buf_ctx_packed_in_order(...) {
 <...
(
+ vring_trace_used(vq, last_used_idx, last_used, *len, false);
 BAD_RING(...);
|
+ vring_trace_used(vq, last_used_idx, last_used, *len, true);
 LAST_ADD_TIME_INVALID(vq);
)
 ...>
 }

@@
@@
 virtqueue_get_buf_ctx_packed(...) {
 <...
(
+ vring_trace_used(vq, last_used_idx, id, *len, false);
 BAD_RING(...);
|
+ vring_trace_used(vq, last_used_idx, id, *len, true);
 LAST_ADD_TIME_INVALID(vq);
)
 ...>
 }
