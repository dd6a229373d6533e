// SPDX-License-Identifier: GPL-2.0-only
// title: The driver turns the offer down and does not set FAILED.
// must: FB-DR-10 IN-DR-06
// ring: both
// file: drivers/virtio/virtio.c
// count: 1
@@
statement S;
@@
 virtio_dev_probe(...) {
 <...
+ if (PYKIT_MUTANT(offer_turned_down)) return -ENODEV;
 if (drv->validate) S
 ...>
 }
