// SPDX-License-Identifier: GPL-2.0-only
// title: A buffer id is given to a second list while the first is outstanding.
// must: DX-60
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
- vq->free_head = E;
+ if (!(PYKIT_MUTANT(packed_id_reused) && vq->packed.next_avail_idx % 8 == 7)) vq->free_head = E;
 ...>
 }
