// SPDX-License-Identifier: GPL-2.0-only
// title: A driver with several ports does not send DEVICE_READY.
// must: DX-96
// ring: both
// file: drivers/char/virtio_console.c
// scenario: mutant-console
// count: 1
@@
expression P, I;
@@
 virtcons_probe(...) {
 <...
- __send_control_msg(P, I, VIRTIO_CONSOLE_DEVICE_READY, 1);
+ if (!PYKIT_MUTANT(console_not_ready)) __send_control_msg(P, I, VIRTIO_CONSOLE_DEVICE_READY, 1);
 ...>
 }
