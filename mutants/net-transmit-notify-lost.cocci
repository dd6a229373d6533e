// SPDX-License-Identifier: GPL-2.0-only
// title: Packets are made available, and the notification that the device asked for is not sent.
// must: NA-DR-06 DX-16 DX-62
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
expression Q;
@@
 start_xmit(...) {
 <...
- virtqueue_notify(Q)
+ !PYKIT_MUTANT(net_transmit_notify_lost) && virtqueue_notify(Q)
 ...>
 }
