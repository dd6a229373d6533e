// SPDX-License-Identifier: GPL-2.0-only
// title: Another register is read between version and device ID.
// must: MI-DR-02
// ring: both
// file: drivers/virtio/virtio_mmio.c
// transport: mmio
// count: 1
@@
@@
 virtio_mmio_probe(...) {
 <...
+if (PYKIT_MUTANT(mmio_device_id_late)) readl(vm_dev->base + VIRTIO_MMIO_VENDOR_ID);
 vm_dev->vdev.id.device = readl(...);
 ...>
 }
