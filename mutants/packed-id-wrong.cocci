// SPDX-License-Identifier: GPL-2.0-only
// title: The ring has another buffer id of a chain than the one that the driver knows.
// must: DX-12 DX-67
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_indirect_packed(...) {
 <...
- vq->packed.vring.desc[head].id = cpu_to_le16(id);
+ vq->packed.vring.desc[head].id = cpu_to_le16(id + (PYKIT_MUTANT(packed_id_wrong) ? vq->packed.vring.num : 0));
 ...>
 }
