// SPDX-License-Identifier: GPL-2.0-only
// title: ACKNOWLEDGE is set before the reset and lost by it.
// must: IN-DR-01 ST-DR-01
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 register_virtio_device(...) {
 <...
 virtio_add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
+ if (PYKIT_MUTANT(status_lost_by_reset)) virtio_reset_device(dev);
 ...>
 }
