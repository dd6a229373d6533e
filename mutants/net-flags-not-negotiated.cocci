// SPDX-License-Identifier: GPL-2.0-only
// title: A packet asks the device for its checksum, and CSUM was not negotiated.
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
+if (PYKIT_MUTANT(net_flags_not_negotiated)) ((char *)hdr)[0] |= VIRTIO_NET_HDR_F_NEEDS_CSUM;
 sg_init_table(sq->sg, E);
 ...>
 }
