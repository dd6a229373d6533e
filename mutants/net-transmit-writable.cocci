// SPDX-License-Identifier: GPL-2.0-only
// title: A packet to transmit is given to the device to write.
// must: NT-DR-02
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
expression Q, S, N, D, G;
@@
 xmit_skb(...) {
 <...
- return virtqueue_add_outbuf(Q, S, N, D, G);
+ return PYKIT_MUTANT(net_transmit_writable) ? virtqueue_add_inbuf(Q, S, N, D, G) : virtqueue_add_outbuf(Q, S, N, D, G);
 ...>
 }

// Later kernels than 6.1.
@@
expression Q, S, N, D, G;
@@
 virtnet_add_outbuf(...) {
 <...
- return virtqueue_add_outbuf(Q, S, N, D, G);
+ return PYKIT_MUTANT(net_transmit_writable) ? virtqueue_add_inbuf(Q, S, N, D, G) : virtqueue_add_outbuf(Q, S, N, D, G);
 ...>
 }
