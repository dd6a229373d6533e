// SPDX-License-Identifier: GPL-2.0-only
// title: The driver gives a device up that does not offer indirect descriptors.
// must: FB-DR-09
// ring: both
// file: drivers/block/virtio_blk.c
// features: no-indirect
// count: 1
@@
@@
 virtblk_probe(...) {
 <...
+ if (PYKIT_MUTANT(feature_wanted) && !virtio_has_feature(vdev, VIRTIO_RING_F_INDIRECT_DESC)) return -EINVAL;
 if (!vdev->config->get) { ... }
 ...>
 }
