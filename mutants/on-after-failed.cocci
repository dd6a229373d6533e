// SPDX-License-Identifier: GPL-2.0-only
// title: FAILED is set, and initialization goes on.
// must: ST-DR-03 IN-DR-07
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_dev_probe(...) {
 <...
+ if (PYKIT_MUTANT(on_after_failed)) virtio_add_status(dev, VIRTIO_CONFIG_S_FAILED);
 err = drv->probe(dev);
 ...>
 }
