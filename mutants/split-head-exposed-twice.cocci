// SPDX-License-Identifier: GPL-2.0-only
// title: A head is exposed a second time while the first chain is outstanding.
// must: DX-07
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_add_split(...) {
 <...
- vq->free_head = vq->split.desc_extra[head].next;
+ if (!(PYKIT_MUTANT(split_head_exposed_twice) && vq->split.avail_idx_shadow % 8 == 7)) vq->free_head = vq->split.desc_extra[head].next;
 ...>
 }
