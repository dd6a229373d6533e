// SPDX-License-Identifier: GPL-2.0-only
// title: The used wrap counter is not flipped when the ring wraps.
// must: DX-37 DX-36
// ring: packed
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
identifier f;
@@
 f(...) {
 <...
- used_wrap_counter ^= 1;
+ used_wrap_counter ^= !PYKIT_MUTANT(packed_used_wrap_kept);
 ...>
 }
