// SPDX-License-Identifier: GPL-2.0-only
// title: A packet is transmitted without its header.
// must: NT-DR-06
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
@@
 xmit_skb(...) {
 <...
- skb_to_sgvec(skb, sq->sg, 0, skb->len)
+ (PYKIT_MUTANT(net_header_left_out) ? skb_to_sgvec(skb, sq->sg, hdr_len, skb->len - hdr_len) : skb_to_sgvec(skb, sq->sg, 0, skb->len))
 ...>
 }
