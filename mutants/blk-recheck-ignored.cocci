// SPDX-License-Identifier: GPL-2.0-only
// title: The driver leaves the used entries that came while it enabled interrupts.
// must: DX-17 DX-66
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
// scenario: mutant-waiting
@@
@@
 virtblk_done(...) {
 <...
- virtqueue_enable_cb(vq)
+ (PYKIT_MUTANT(blk_recheck_ignored) ? (mdelay(20), virtqueue_enable_cb(vq), true) : virtqueue_enable_cb(vq))
 ...>
 }
