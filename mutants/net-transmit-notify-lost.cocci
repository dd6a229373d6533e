// SPDX-License-Identifier: GPL-2.0-only
// title: Receive buffers are made available, and the notification that the device asked for is not sent.
// must: NA-DR-06 NA-DR-04 DX-16
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
expression Q;
@@
 try_fill_recv(...) {
 <...
- virtqueue_notify(Q)
+ !PYKIT_MUTANT(net_receive_notify_lost) && virtqueue_notify(Q)
 ...>
 }
