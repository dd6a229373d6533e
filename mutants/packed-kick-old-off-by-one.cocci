// SPDX-License-Identifier: GPL-2.0-only
// title: The decision to notify leaves out the first descriptor of the batch.
// must: DX-62 DX-16
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_kick_prepare_packed(...) {
 <...
 new = vq->packed.next_avail_idx;
+ old += PYKIT_MUTANT(packed_kick_old_off_by_one);
 ...>
 }
