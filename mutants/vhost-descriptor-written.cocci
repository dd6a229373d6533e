// SPDX-License-Identifier: GPL-2.0-only
// title: The device writes into the descriptor table.
// must: SD-DE-04
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
@@
 vhost_add_used(...) {
 <...
+ if (PYKIT_MUTANT(vhost_descriptor_written)) put_user(cpu_to_vhost16(vq, 7), &vq->desc[head].next);
 return vhost_add_used_n(...);
 ...>
 }
