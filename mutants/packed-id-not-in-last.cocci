// SPDX-License-Identifier: GPL-2.0-only
// title: The last descriptor of a list has another id than the first.
// must: DX-12 DX-60
// may: DX-09
// ring: packed
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
@@
 virtqueue_add_packed(...) {
 <...
- desc[i].id = cpu_to_le16(id);
+ desc[i].id = cpu_to_le16(id + (PYKIT_MUTANT(packed_id_not_in_last) && c == total_sg && total_sg > 1));
 ...>
 }
