// SPDX-License-Identifier: GPL-2.0-only
// title: The interrupt status is read although the device has MSI-X vectors.
// must: PR-DR-01
// ring: both
// file: drivers/virtio/virtio_pci_common.c
// features: no-ioeventfd
// count: 1
@@
@@
 vp_notify(...) {
+ if (PYKIT_MUTANT(isr_read_with_msix)) ioread8(to_vp_device(vq->vdev)->isr);
 ...
 }
