// SPDX-License-Identifier: GPL-2.0-only
// title: The driver's features are written without their half being selected.
// must: MR-DR-15
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
@@
 vm_finalize_features(...) {
 <...
- writel(1, vm_dev->base + VIRTIO_MMIO_DRIVER_FEATURES_SEL);
+ if (!PYKIT_MUTANT(mmio_driver_features_unselected)) writel(1, vm_dev->base + VIRTIO_MMIO_DRIVER_FEATURES_SEL);
 ...>
 }
