// SPDX-License-Identifier: GPL-2.0-only
// title: A queue is made twice as large as the device can have it.
// must: DX-75
// bug: B32
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// count: 1
@@
expression E;
@@
 setup_vq(...) {
 <...
 num = vp_modern_get_queue_size(E, index);
+ num <<= PYKIT_MUTANT(queue_size_double);
 ...>
 }
