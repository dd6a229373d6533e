// SPDX-License-Identifier: GPL-2.0-only
// title: Readable descriptors are marked as writable by the device.
// must: DX-19 MF-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
 for (n = 0; n < out_sgs; n++) {
 <...
- VRING_DESC_F_NEXT
+ VRING_DESC_F_NEXT | (PYKIT_MUTANT(split_writable_first) ? VRING_DESC_F_WRITE : 0)
 ...>
 }
 ...>
 }
