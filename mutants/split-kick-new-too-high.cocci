// SPDX-License-Identifier: GPL-2.0-only
// title: The decision to notify counts an entry that is not exposed yet.
// must: NA-DR-07
// ring: split
// file: drivers/virtio/virtio_ring.c
// scenario: mutant-waiting
// count: 2
@@
@@
 virtqueue_kick_prepare_split(...) {
 <...
 new = vq->split.avail_idx_shadow;
+ new += PYKIT_MUTANT(split_kick_new_too_high);
 ...>
 }

// The device wins the race: it takes the chain before the decision, and asks for the next one.
@@
@@
 virtqueue_add_split(...) {
 <...
+if (PYKIT_MUTANT(split_kick_new_too_high)) { int n; for (n = 0; n < 100 && virtio16_to_cpu(vq->vq.vdev, vring_avail_event(&vq->split.vring)) != vq->split.avail_idx_shadow; n++) udelay(100); }
 pr_debug("Added buffer head %i to %p\n", head, vq);
 ...>
 }
