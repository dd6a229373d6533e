// SPDX-License-Identifier: GPL-2.0-only
// title: The event index that asks for the next notification points behind the next entry.
// must: DX-18 NA-DE-04
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
expression E;
@@
 vhost_put_avail_event(...) {
 <...
- cpu_to_vhost16(vq, E)
+ cpu_to_vhost16(vq, (E) - (PYKIT_MUTANT(vhost_avail_event_behind) ? 8 : 0))
 ...>
 }
