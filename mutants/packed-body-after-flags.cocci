// SPDX-License-Identifier: GPL-2.0-only
// title: A descriptor is exposed before its address and length are written.
// must: PF-DR-01 PD-DR-02
// ring: packed
// file: drivers/virtio/virtio_ring.c
// observe: access
// count: 1
@@
expression E;
@@
 virtqueue_add_indirect_packed(...) {
 <...
+ if (PYKIT_MUTANT(packed_body_after_flags)) WRITE_ONCE(vq->packed.vring.desc[head].flags, cpu_to_le16(VRING_DESC_F_INDIRECT | vq->packed.avail_used_flags));
 vq->packed.vring.desc[head].addr = E;
 ...>
 }
