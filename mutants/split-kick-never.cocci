// SPDX-License-Identifier: GPL-2.0-only
// title: The core never asks for an available buffer notification once it is in use.
// must: NA-DR-06 NA-DR-04
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
expression E;
@@
 virtqueue_kick_prepare_split(...) {
 <...
 END_USE(vq);
- return E;
+ return !PYKIT_MUTANT(split_kick_never) && (E);
 ...>
 }
