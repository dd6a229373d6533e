// SPDX-License-Identifier: GPL-2.0-only
// title: A request is outstanding when the driver lets its queue go.
// must: DX-28 DX-36
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression E;
@@
 virtblk_remove(...) {
 <...
 blk_mq_free_tag_set(E);
+ if (PYKIT_MUTANT(blk_outstanding_at_removal)) { u8 *data = kzalloc(37, GFP_KERNEL); struct scatterlist one; struct scatterlist two; struct scatterlist *both[2]; sg_init_one(&one, data, 16); sg_init_one(&two, data + 16, 21); both[0] = &one; both[1] = &two; data[0] = VIRTIO_BLK_T_GET_ID; virtqueue_add_sgs(vblk->vqs[0].vq, both, 1, 1, data, GFP_KERNEL); }
 ...>
 }
