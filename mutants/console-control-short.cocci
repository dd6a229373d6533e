// SPDX-License-Identifier: GPL-2.0-only
// title: A control message has four bytes.
// must: DX-95
// ring: both
// file: drivers/char/virtio_console.c
// scenario: mutant-console
// count: 1
@@
expression S, B, L;
@@
 __send_control_msg(...) {
 <...
- sg_init_one(S, B, L);
+ sg_init_one(S, B, (L) - (PYKIT_MUTANT(console_control_short) ? 4 : 0));
 ...>
 }
