// SPDX-License-Identifier: GPL-2.0-only
// title: The driver does not write how many pages the balloon has.
// must: DX-97
// ring: both
// file: drivers/virtio/virtio_balloon.c
// scenario: mutant-others
// count: 1
@@
expression V;
@@
 update_balloon_size_func(...) {
 <...
- update_balloon_size(V);
+ if (!PYKIT_MUTANT(balloon_size_not_written)) update_balloon_size(V);
 ...>
 }
