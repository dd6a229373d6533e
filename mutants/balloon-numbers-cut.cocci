// SPDX-License-Identifier: GPL-2.0-only
// title: The numbers of pages that are given up end within a number.
// must: BL-DR-01
// ring: both
// file: drivers/virtio/virtio_balloon.c
// scenario: mutant-others
// count: 1
@@
expression S, B, L;
@@
 tell_host(...) {
 <...
- sg_init_one(S, B, L);
+ sg_init_one(S, B, (L) - (PYKIT_MUTANT(balloon_numbers_cut) ? 2 : 0));
 ...>
 }
