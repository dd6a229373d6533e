// SPDX-License-Identifier: GPL-2.0-only
// title: The header of a packet to transmit has a number of buffers.
// must: NT-DR-07
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
expression H;
@@
 xmit_skb(...) {
 <...
- H.num_buffers = 0;
+ H.num_buffers = PYKIT_MUTANT(net_num_buffers_set) ? 1 : 0;
 ...>
 }

@@
expression H;
@@
 xmit_skb(...) {
 <...
- H->num_buffers = 0;
+ H->num_buffers = PYKIT_MUTANT(net_num_buffers_set) ? 1 : 0;
 ...>
 }
