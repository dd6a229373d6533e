// SPDX-License-Identifier: GPL-2.0-only
// title: Configuration is written during feature negotiation.
// must: IN-DR-03
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
@@
 virtio_dev_probe(...) {
 <...
+ if (PYKIT_MUTANT(config_written_early)) { u8 one = 1; dev->config->set(dev, 32, &one, sizeof(one)); }
 err = virtio_features_ok(dev);
 ...>
 }
