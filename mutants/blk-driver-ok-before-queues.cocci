// SPDX-License-Identifier: GPL-2.0-only
// title: DRIVER_OK is set before the queues are set up.
// must: IN-DR-01
// ring: both
// file: drivers/block/virtio_blk.c
// count: 2
@@
@@
 virtblk_probe(...) {
 <...
- virtio_device_ready(vdev);
+ if (!PYKIT_MUTANT(blk_driver_ok_before_queues)) virtio_device_ready(vdev);
 ...>
 }

@@
@@
 virtblk_probe(...) {
 <...
+ if (PYKIT_MUTANT(blk_driver_ok_before_queues)) virtio_add_status(vdev, VIRTIO_CONFIG_S_DRIVER_OK);
 err = init_vq(vblk);
 ...>
 }
