// SPDX-License-Identifier: GPL-2.0-only
// title: A used entry names the head behind the one that was served.
// must: DX-01 DX-02 DX-38
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
@@
 vhost_add_used(...) {
 <...
- cpu_to_vhost32(vq, head)
+ cpu_to_vhost32(vq, head + (PYKIT_MUTANT(vhost_used_id_wrong) && vq->last_used_idx % 32 == 31))
 ...>
 }
