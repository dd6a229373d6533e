// SPDX-License-Identifier: GPL-2.0-only
// title: The buffer id that the device left in a descriptor is not replaced.
// must: DX-12 DX-07
// bug: B57
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
- vq->packed.vring.desc[head].id = E;
+ if (!PYKIT_MUTANT(packed_id_left_by_device) || vq->packed.avail_wrap_counter) vq->packed.vring.desc[head].id = E;
 ...>
 }
