// SPDX-License-Identifier: GPL-2.0-only
// title: The used index is not looked at again after interrupts were enabled.
// must: DX-17
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_poll_split(...) {
 <...
- return E;
+ return !PYKIT_MUTANT(split_no_recheck) && (E);
 ...>
 }
