// SPDX-License-Identifier: GPL-2.0-only
// title: The device is given half the size of the queue that the driver uses.
// must: DX-72
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression mdev, index, E;
@@
- vp_modern_set_queue_size(mdev, index, E);
+ vp_modern_set_queue_size(mdev, index, (E) / (PYKIT_MUTANT(queue_size_half) ? 2 : 1));
