// SPDX-License-Identifier: GPL-2.0-only
// title: Every seventh interrupt of a queue is not handled.
// must: DX-36 DX-40
// ring: both
// file: drivers/virtio/virtio_ring.c
// count: 1
@@
@@
 vring_interrupt(...) {
 <...
+ if (vq->last_used_idx % 7 == 6 && PYKIT_MUTANT(interrupt_dropped)) return IRQ_HANDLED;
 if (unlikely(vq->broken)) { ... }
 ...>
 }
