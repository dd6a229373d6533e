// SPDX-License-Identifier: GPL-2.0-only
// title: The size of the console is read without the feature that it depends on.
// must: CF-DR-04
// ring: both
// file: drivers/char/virtio_console.c
// scenario: mutant-console
// count: 1
@@
@@
 virtcons_probe(...) {
 <...
 multiport = false;
+ if (PYKIT_MUTANT(console_size_not_offered)) { u16 none; vdev->config->get(vdev, offsetof(struct virtio_console_config, cols), &none, 2); }
 ...>
 }
