// SPDX-License-Identifier: GPL-2.0-only
// title: The device's features are read without their half being selected.
// must: MR-DR-14
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
@@
 vm_get_features(...) {
 <...
- writel(1, vm_dev->base + VIRTIO_MMIO_DEVICE_FEATURES_SEL);
+ if (!PYKIT_MUTANT(mmio_device_features_unselected)) writel(1, vm_dev->base + VIRTIO_MMIO_DEVICE_FEATURES_SEL);
 ...>
 }
