// SPDX-License-Identifier: GPL-2.0-only
// title: The available ring names the second descriptor of a chain for its head.
// must: DX-19
// ring: split
// file: drivers/virtio/virtio_ring.c
// features: no-indirect
// count: 1
@@
expression D, E;
@@
 virtqueue_add_split(...) {
 <...
- vq->split.vring.avail->ring[avail] = cpu_to_virtio16(D, E);
+ vq->split.vring.avail->ring[avail] = cpu_to_virtio16(D, !indirect && PYKIT_MUTANT(split_head_second) ? vq->split.desc_extra[head].next : (E));
 ...>
 }
