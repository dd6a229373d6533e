// SPDX-License-Identifier: GPL-2.0-only
// title: The length of a used entry exceeds the writable part of the chain.
// must: DX-06
// side: device
// scenario: mutant-loop
// ring: split
// file: drivers/vhost/vhost.c
// count: 1
@@
@@
 vhost_add_used(...) {
 <...
- cpu_to_vhost32(vq, len)
+ cpu_to_vhost32(vq, len + (PYKIT_MUTANT(vhost_used_length_too_long) ? 65536 : 0))
 ...>
 }
