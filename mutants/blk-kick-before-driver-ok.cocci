// SPDX-License-Identifier: GPL-2.0-only
// title: The disk is added, and read, before DRIVER_OK is set.
// must: IN-DR-08
// may: RS-DE-02 RS-DE-03 ST-DE-01 ST-DE-02
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_probe(...) {
 <...
- virtio_device_ready(vdev);
+ if (!PYKIT_MUTANT(blk_kick_before_driver_ok)) virtio_device_ready(vdev);
 ...>
 }
