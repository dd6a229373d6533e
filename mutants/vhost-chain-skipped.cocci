// SPDX-License-Identifier: GPL-2.0-only
// title: The device skips an available entry.
// must: DX-38 DX-39
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
identifier f;
@@
 f(...) {
 <...
- vq->last_avail_idx++;
+ vq->last_avail_idx += 1 + (PYKIT_MUTANT(vhost_chain_skipped) && vq->last_avail_idx % 32 == 31);
 ...>
 }
