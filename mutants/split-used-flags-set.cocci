// SPDX-License-Identifier: GPL-2.0-only
// title: The used ring's flags are not zero when the ring is made.
// must: NA-DR-01
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 virtqueue_vring_init_split(...) {
 <...
+ if (PYKIT_MUTANT(split_used_flags_set)) vring_split->vring.used->flags = cpu_to_le16(1);
 vring_split->avail_idx_shadow = 0;
 ...>
 }
