// SPDX-License-Identifier: GPL-2.0-only
// title: The available index is not looked at again after notifications were enabled.
// must: DX-18
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 2
@@
@@
 vhost_enable_notify(...) {
 <...
- return r;
+ return !PYKIT_MUTANT(vhost_no_recheck) && r;
 ...>
 }

// The driver wins the race: it makes a chain available between the last look and the enabling.
@@
expression F;
@@
 vhost_enable_notify(...) {
 <...
+if (PYKIT_MUTANT(vhost_no_recheck)) msleep(4);
 vq->used_flags &= F;
 ...>
 }
