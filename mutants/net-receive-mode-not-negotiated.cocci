// SPDX-License-Identifier: GPL-2.0-only
// title: The receive mode is set by commands, and CTRL_RX was not negotiated.
// must: NT-DR-08
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// features: no-ctrl-rx
// count: 1
@@
@@
 virtnet_set_rx_mode(...) {
 <...
- !virtio_has_feature(vi->vdev, VIRTIO_NET_F_CTRL_RX)
+ !virtio_has_feature(vi->vdev, VIRTIO_NET_F_CTRL_RX) && !PYKIT_MUTANT(net_receive_mode_not_negotiated)
 ...>
 }

// Later kernels than 6.1.
@@
@@
 virtnet_rx_mode_work(...) {
 <...
- !virtio_has_feature(vi->vdev, VIRTIO_NET_F_CTRL_RX)
+ !virtio_has_feature(vi->vdev, VIRTIO_NET_F_CTRL_RX) && !PYKIT_MUTANT(net_receive_mode_not_negotiated)
 ...>
 }
