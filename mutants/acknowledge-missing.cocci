// SPDX-License-Identifier: GPL-2.0-only
// title: ACKNOWLEDGE is never set.
// must: IN-DR-01 ST-DR-01
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 register_virtio_device(...) {
 <...
- virtio_add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
+ if (!PYKIT_MUTANT(acknowledge_missing)) virtio_add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
 ...>
 }
