// SPDX-License-Identifier: GPL-2.0-only
// title: ACCESS_PLATFORM is offered and not acknowledged.
// must: RF-DR-03
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// features: platform
// count: 1
@@
@@
 vp_finalize_features(...) {
 <...
 vring_transport_features(vdev);
+ if (PYKIT_MUTANT(access_platform_not_acked)) __virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
 ...>
 }
