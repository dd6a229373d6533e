// SPDX-License-Identifier: GPL-2.0-only
// title: The driver asks for more pairs of queues than the device has.
// must: NT-DR-09
// ring: both
// file: drivers/net/virtio_net.c
// scenario: mutant-net
// count: 1
@@
@@
 _virtnet_set_queues(...) {
 <...
- cpu_to_virtio16(vi->vdev, queue_pairs)
+ cpu_to_virtio16(vi->vdev, queue_pairs + (PYKIT_MUTANT(net_pairs_beyond_max) ? 1 : 0))
 ...>
 }

// Later kernels than 6.1.
@@
@@
 virtnet_set_queues(...) {
 <...
- cpu_to_virtio16(vi->vdev, queue_pairs)
+ cpu_to_virtio16(vi->vdev, queue_pairs + (PYKIT_MUTANT(net_pairs_beyond_max) ? 1 : 0))
 ...>
 }
