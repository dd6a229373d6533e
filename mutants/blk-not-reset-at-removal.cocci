// SPDX-License-Identifier: GPL-2.0-only
// title: The driver frees its queues without having reset the device.
// must: DX-28 CL-DR-02
// ring: both
// bug: B19
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_remove(...) {
 <...
- virtio_reset_device(vdev);
+ if (!PYKIT_MUTANT(blk_not_reset_at_removal)) virtio_reset_device(vdev);
 ...>
 }
