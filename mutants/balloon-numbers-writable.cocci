// SPDX-License-Identifier: GPL-2.0-only
// title: The numbers of pages are given to the device to write.
// must: BL-DR-01
// ring: both
// file: drivers/virtio/virtio_balloon.c
// scenario: mutant-others
// count: 1
@@
expression Q, S, N, D, G;
@@
 tell_host(...) {
 <...
- virtqueue_add_outbuf(Q, S, N, D, G)
+ (PYKIT_MUTANT(balloon_numbers_writable) ? virtqueue_add_inbuf(Q, S, N, D, G) : virtqueue_add_outbuf(Q, S, N, D, G))
 ...>
 }
