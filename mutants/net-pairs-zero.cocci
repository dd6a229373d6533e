// SPDX-License-Identifier: GPL-2.0-only
// title: The driver asks for no pair of queues.
// must: NT-DR-09
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
expression E;
@@
 _virtnet_set_queues(...) {
 <...
 vi->ctrl->mq.virtqueue_pairs = E;
+ if (PYKIT_MUTANT(net_pairs_zero)) vi->ctrl->mq.virtqueue_pairs = 0;
 ...>
 }

// Later kernels than 6.1.
@@
expression E;
@@
 virtnet_set_queues(...) {
 <...
 mq->virtqueue_pairs = E;
+ if (PYKIT_MUTANT(net_pairs_zero)) mq->virtqueue_pairs = 0;
 ...>
 }
