// SPDX-License-Identifier: GPL-2.0-only
// title: A control command has no room for its acknowledgement.
// must: NT-DR-04
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
expression Q, S, O, I, D, G;
@@
 virtnet_send_command(...) {
 <...
- virtqueue_add_sgs(Q, S, O, I, D, G)
+ virtqueue_add_sgs(Q, S, O, PYKIT_MUTANT(net_control_no_ack) ? 0 : I, D, G)
 ...>
 }

// Later kernels than 6.1.
@@
expression Q, S, O, I, D, G;
@@
 virtnet_send_command_reply(...) {
 <...
- virtqueue_add_sgs(Q, S, O, I, D, G)
+ virtqueue_add_sgs(Q, S, O, PYKIT_MUTANT(net_control_no_ack) ? 0 : I, D, G)
 ...>
 }
