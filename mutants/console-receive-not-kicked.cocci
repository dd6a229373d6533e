// SPDX-License-Identifier: GPL-2.0-only
// title: The driver makes receive buffers available and never decides whether to notify of them.
// must: NA-DR-06 NA-DR-04 DX-40 DX-62
// ring: both
// file: drivers/char/virtio_console.c
// scenario: mutant-console
// count: 1
@@
expression Q;
@@
 add_inbuf(...) {
 <...
- virtqueue_kick(Q);
+ if (!PYKIT_MUTANT(console_receive_not_kicked)) virtqueue_kick(Q);
 ...>
 }
