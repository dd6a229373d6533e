// SPDX-License-Identifier: GPL-2.0-only
// title: The MAC address is written to the configuration space of a device of VIRTIO 1.
// must: NT-DR-05
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 2
@@
@@
 virtnet_set_mac_address(...) {
 <...
- virtio_has_feature(vdev, VIRTIO_NET_F_CTRL_MAC_ADDR)
+ virtio_has_feature(vdev, VIRTIO_NET_F_CTRL_MAC_ADDR) && !PYKIT_MUTANT(net_mac_by_config)
 ...>
 }

@@
@@
 virtnet_set_mac_address(...) {
 <...
- !virtio_has_feature(vdev, VIRTIO_F_VERSION_1)
+ (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1) || PYKIT_MUTANT(net_mac_by_config))
 ...>
 }
