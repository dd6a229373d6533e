// SPDX-License-Identifier: GPL-2.0-only
// title: A receive buffer has no room for a packet of full size, and buffers do not merge.
// must: NT-DR-03
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// features: no-mergeable
// count: 1
@@
@@
 add_recvbuf_small(...) {
 <...
- vi->hdr_len + GOOD_PACKET_LEN
+ vi->hdr_len + (PYKIT_MUTANT(net_receive_small) ? 1400 : GOOD_PACKET_LEN)
 ...>
 }
