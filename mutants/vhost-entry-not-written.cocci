// SPDX-License-Identifier: GPL-2.0-only
// title: A used entry is exposed that was not written.
// must: DX-01 DX-02
// bug: B55
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
expression list A; statement S;
@@
 __vhost_add_used_n(...) {
 <...
- if (vhost_put_used(A))
+ if (!(PYKIT_MUTANT(vhost_entry_not_written) && vq->last_used_idx % 32 == 31) && vhost_put_used(A))
 S
 ...>
 }
