// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers that the driver has mapped itself are added by functions of their own:
 * 3ef66af31fea ("virtio_ring: introduce add api for premapped"), v6.13.
 */
#include <linux/virtio.h>

int check(struct virtqueue *vq, struct scatterlist *sg);

int check(struct virtqueue *vq, struct scatterlist *sg)
{
	return virtqueue_add_outbuf_premapped(vq, sg, 1, vq, GFP_ATOMIC) ?:
	       virtqueue_add_inbuf_premapped(vq, sg, 1, vq, NULL, GFP_ATOMIC);
}
