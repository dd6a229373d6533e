// SPDX-License-Identifier: GPL-2.0-only
// title: A packet asks the device to segment it, and HOST_TSO4 was not negotiated.
// must: NT-DR-06
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
expression E;
@@
 xmit_skb(...) {
 <...
+if (PYKIT_MUTANT(net_gso_not_negotiated)) ((char *)hdr)[1] = VIRTIO_NET_HDR_GSO_TCPV4;
 sg_init_table(sq->sg, E);
 ...>
 }
