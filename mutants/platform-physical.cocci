// SPDX-License-Identifier: GPL-2.0-only
// title: Rings and buffers are given by their physical addresses, although the IOMMU translates.
// must: RF-DR-04
// ring: split
// file: drivers/virtio/virtio_ring.c
// transport: pci-iommu
// count: 1
@@
identifier f =~ "^vring_use_(dma|map)_api$";
@@
 f(...) {
 <...
 if (!virtio_has_dma_quirk(vdev))
- return true;
+ return !PYKIT_MUTANT(platform_physical);
 ...>
}
