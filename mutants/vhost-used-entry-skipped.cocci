// SPDX-License-Identifier: GPL-2.0-only
// title: The used index moves over an entry that was not written.
// must: DX-01 DX-02 DX-03
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
@@
 __vhost_add_used_n(...) {
 <...
- vq->last_used_idx += count
+ vq->last_used_idx += count + (PYKIT_MUTANT(vhost_used_entry_skipped) && vq->last_used_idx % 32 == 31)
 ...>
 }
