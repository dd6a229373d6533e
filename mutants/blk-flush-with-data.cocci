// SPDX-License-Identifier: GPL-2.0-only
// title: A flush request carries data.
// must: BO-DR-05
// ring: both
// file: drivers/block/virtio_blk.c
// count: 1
@@
expression list V;
@@
 virtblk_add_req(...) {
 <...
+ if (PYKIT_MUTANT(blk_flush_with_data) && num_out + num_in == 2 && vbr->out_hdr.type == cpu_to_virtio32(vq->vdev, VIRTIO_BLK_T_FLUSH)) { sgs[2] = sgs[1]; sgs[1] = sgs[0]; num_out++; }
 return virtqueue_add_sgs(V);
 ...>
 }
