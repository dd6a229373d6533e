// SPDX-License-Identifier: GPL-2.0-only
// title: The header of a request changes after it was exposed.
// must: CL-DR-01
// bug: B26
// ring: both
// file: drivers/block/virtio_blk.c
// observe: access
// count: 1
@@
expression list V;
@@
 virtblk_add_req(...) {
 <...
- return virtqueue_add_sgs(V);
+ num_in = virtqueue_add_sgs(V);
+ if (PYKIT_MUTANT(blk_written_after_exposure)) vbr->out_hdr.ioprio ^= cpu_to_virtio32(vq->vdev, 1);
+ return num_in;
 ...>
 }
