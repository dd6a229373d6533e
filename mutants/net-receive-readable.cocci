// SPDX-License-Identifier: GPL-2.0-only
// title: A receive buffer is given to the device to read, and buffers merge.
// must: NT-DR-01
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
expression Q, S, N, D, C, G;
@@
 add_recvbuf_mergeable(...) {
 <...
- virtqueue_add_inbuf_ctx(Q, S, N, D, C, G)
+ (PYKIT_MUTANT(net_receive_readable) ? virtqueue_add_outbuf(Q, S, N, D, G) : virtqueue_add_inbuf_ctx(Q, S, N, D, C, G))
 ...>
 }

// Later kernels than 6.1.
@@
expression Q, S, N, D, C, G;
@@
 virtnet_rq_submit(...) {
 <...
- virtqueue_add_inbuf_ctx(Q, S, N, D, C, G)
+ (PYKIT_MUTANT(net_receive_readable) ? virtqueue_add_outbuf(Q, S, N, D, G) : virtqueue_add_inbuf_ctx(Q, S, N, D, C, G))
 ...>
 }
