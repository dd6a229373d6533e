// SPDX-License-Identifier: GPL-2.0-only
// title: The driver takes a descriptor that the device has not returned.
// must: DX-37 PD-DR-01
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 is_used_desc_packed(...) {
 <...
- return avail == used && used == used_wrap_counter;
+ return avail == used && (used == used_wrap_counter || (!used_wrap_counter && PYKIT_MUTANT(packed_used_not_there)));
 ...>
 }
