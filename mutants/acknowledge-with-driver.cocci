// SPDX-License-Identifier: GPL-2.0-only
// title: ACKNOWLEDGE and DRIVER are set by one write.
// must: IN-DR-01 ST-DR-01
// bug: B77
// ring: both
// file: drivers/virtio/virtio.c
// count: 2
@@
@@
 register_virtio_device(...) {
 <...
- virtio_add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
+ if (!PYKIT_MUTANT(acknowledge_with_driver)) virtio_add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
 ...>
 }

@@
@@
 virtio_dev_probe(...) {
 <...
+ if (PYKIT_MUTANT(acknowledge_with_driver)) virtio_add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
 virtio_add_status(dev, VIRTIO_CONFIG_S_DRIVER);
 ...>
 }
