// SPDX-License-Identifier: GPL-2.0-only
// title: A control command has its class, and no command.
// must: NT-DR-08
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
expression H;
@@
 virtnet_send_command(...) {
 <...
- sg_init_one(&H, &vi->ctrl->hdr, sizeof(vi->ctrl->hdr));
+ sg_init_one(&H, &vi->ctrl->hdr, sizeof(vi->ctrl->hdr) - (PYKIT_MUTANT(net_command_short) ? 1 : 0));
 ...>
 }

// Later kernels than 6.1.
@@
expression H;
@@
 virtnet_send_command_reply(...) {
 <...
- sg_init_one(&H, &vi->ctrl->hdr, sizeof(vi->ctrl->hdr));
+ sg_init_one(&H, &vi->ctrl->hdr, sizeof(vi->ctrl->hdr) - (PYKIT_MUTANT(net_command_short) ? 1 : 0));
 ...>
 }
