// SPDX-License-Identifier: GPL-2.0-only
// title: The used index is written one too low: the last entry stays hidden.
// must: DX-38 DX-03 NU-DE-05 DX-39
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
expression E;
@@
 vhost_put_used_idx(...) {
 <...
- cpu_to_vhost16(vq, E)
+ cpu_to_vhost16(vq, (E) - PYKIT_MUTANT(vhost_used_index_behind))
 ...>
 }
