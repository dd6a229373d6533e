// SPDX-License-Identifier: GPL-2.0-only
// title: A slot without a device is reported as an error.
// must: MR-DR-13
// ring: both
// file: drivers/virtio/virtio_mmio.c
// scenario: mmio-slot
// transport: mmio
// count: 1
@@
expression E;
@@
 virtio_mmio_probe(...) {
 <...
 vm_dev->vdev.id.device = readl(E);
+if (vm_dev->vdev.id.device == 0 && PYKIT_MUTANT(mmio_placeholder_reported)) dev_err(&pdev->dev, "no device is in this slot\n");
 ...>
 }
