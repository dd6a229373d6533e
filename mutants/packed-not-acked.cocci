// SPDX-License-Identifier: GPL-2.0-only
// title: RING_PACKED is offered and not acknowledged.
// must: RF-DR-06
// ring: packed
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
@@
 vp_finalize_features(...) {
 <...
+ if (PYKIT_MUTANT(packed_not_acked)) __virtio_clear_bit(vdev, VIRTIO_F_RING_PACKED);
 vring_transport_features(vdev);
 ...>
 }
