// SPDX-License-Identifier: GPL-2.0-only
// title: The driver uses several queues, and does not accept MQ.
// must: DX-104
// ring: both
// file: drivers/virtio/virtio_pci_modern.c
// features: two-queues
// count: 1
@@
expression D, F;
@@
 vp_finalize_features(...) {
 <...
- vp_modern_set_features(D, F);
+ vp_modern_set_features(D, PYKIT_MUTANT(blk_queues_without_mq) ? (F) & ~(1ULL << 12) : (F));
 ...>
 }
