// SPDX-License-Identifier: GPL-2.0-only
// title: The device is not reset before it is used.
// must: IN-DR-01
// bug: B75
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 register_virtio_device(...) {
 <...
- virtio_reset_device(dev);
+ if (!PYKIT_MUTANT(reset_missing)) virtio_reset_device(dev);
 ...>
 }
