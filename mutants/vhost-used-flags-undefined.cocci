// SPDX-License-Identifier: GPL-2.0-only
// title: The used ring's flags have a bit that is not defined.
// must: NA-DE-01 NA-DE-03
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
expression E;
@@
 vhost_put_used_flags(...) {
 <...
- cpu_to_vhost16(vq, E)
+ cpu_to_vhost16(vq, (E) | (PYKIT_MUTANT(vhost_used_flags_undefined) ? 2 : 0))
 ...>
 }
