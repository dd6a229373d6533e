// SPDX-License-Identifier: GPL-2.0-only
// title: The device writes the flags of the available ring.
// must: SD-DE-01 SD-DE-04
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
@@
 __vhost_add_used_n(...) {
 <...
+ if (PYKIT_MUTANT(vhost_available_written)) put_user(cpu_to_vhost16(vq, 1), &vq->avail->flags);
 old = vq->last_used_idx;
 ...>
 }
