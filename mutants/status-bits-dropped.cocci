// SPDX-License-Identifier: GPL-2.0-only
// title: A status write leaves out the bits that were set before.
// must: ST-DR-02
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
expression S;
@@
 virtio_add_status(...) {
 <...
- dev->config->set_status(dev, dev->config->get_status(dev) | S);
+ dev->config->set_status(dev, (PYKIT_MUTANT(status_bits_dropped) ? 0 : dev->config->get_status(dev)) | S);
 ...>
 }
