// SPDX-License-Identifier: GPL-2.0-only
// title: The driver leaves out a descriptor of the ring between two lists.
// must: DX-11 DX-36
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_indirect_packed(...) {
 <...
- vq->packed.next_avail_idx = n;
+ vq->packed.next_avail_idx = n + (n % 16 == 8 && PYKIT_MUTANT(packed_slot_skipped));
 ...>
 }
