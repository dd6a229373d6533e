// SPDX-License-Identifier: GPL-2.0-only
// title: The queue gets no vector and its callback is expected.
// must: PQ-DR-05 DX-36
// may: NU-DE-03 NU-DE-05 DX-15
// ring: both
// file: drivers/virtio/virtio_pci_modern_dev.c
// count: 1
@@
expression R;
@@
 vp_modern_queue_vector(...) {
 <...
 vp_iowrite16(vector, R);
+ if (PYKIT_MUTANT(queue_vector_none)) { vp_iowrite16(0xffff, &cfg->queue_msix_vector); return vector; }
 ...>
 }
