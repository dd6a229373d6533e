// SPDX-License-Identifier: GPL-2.0-only
// title: The driver does not enable interrupts again after it has handled one.
// must: DX-17 DX-66 DX-40
// ring: split
// file: drivers/block/virtio_blk.c
// count: 1
@@
@@
 virtblk_done(...) {
 <...
- virtqueue_enable_cb(vq)
+ (PYKIT_MUTANT(blk_callbacks_left_off) || virtqueue_enable_cb(vq))
 ...>
 }
