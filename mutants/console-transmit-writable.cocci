// SPDX-License-Identifier: GPL-2.0-only
// title: Data to send is given to the device to write.
// must: CO-DR-01
// ring: both
// file: drivers/char/virtio_console.c
// scenario: mutant-console
// count: 1
@@
expression Q, S, N, D, G;
@@
 __send_to_port(...) {
 <...
- err = virtqueue_add_outbuf(Q, S, N, D, G);
+ err = PYKIT_MUTANT(console_transmit_writable) ? virtqueue_add_inbuf(Q, S, N, D, G) : virtqueue_add_outbuf(Q, S, N, D, G);
 ...>
 }
