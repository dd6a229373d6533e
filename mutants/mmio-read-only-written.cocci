// SPDX-License-Identifier: GPL-2.0-only
// title: A register that is to be read alone is written.
// must: MR-DR-02
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
@@
 vm_finalize_features(...) {
+ if (PYKIT_MUTANT(mmio_read_only_written)) writel(0, to_virtio_mmio_device(vdev)->base + VIRTIO_MMIO_DEVICE_FEATURES);
 ...
 }
