// SPDX-License-Identifier: GPL-2.0-only
// title: The available index is not looked at again after notifications were enabled.
// must: DX-18
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
@@
 vhost_enable_notify(...) {
 <...
- return r;
+ return !PYKIT_MUTANT(vhost_no_recheck) && r;
 ...>
 }
