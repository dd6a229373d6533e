// SPDX-License-Identifier: GPL-2.0-only
// title: The driver selects what it asks an input device for by one of two fields.
// must: DX-99
// ring: both
// file: drivers/virtio/virtio_input.c
// scenario: mutant-others
// count: 1
@@
expression D, V;
type T;
@@
 virtinput_cfg_select(...) {
 <...
- virtio_cwrite_le(D, T, subsel, V);
+ if (!PYKIT_MUTANT(input_subsel_not_set)) virtio_cwrite_le(D, T, subsel, V);
 ...>
 }
