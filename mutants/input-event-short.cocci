// SPDX-License-Identifier: GPL-2.0-only
// title: A buffer for an event of an input device has no room for it.
// must: IP-DR-01
// ring: both
// file: drivers/virtio/virtio_input.c
// scenario: mutant-others
// count: 1
@@
expression S, B, L;
@@
 virtinput_queue_evtbuf(...) {
 <...
- sg_init_one(S, B, L);
+ sg_init_one(S, B, PYKIT_MUTANT(input_event_short) ? 4 : L);
 ...>
 }
