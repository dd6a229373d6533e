// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers that need no cache maintenance are added by a function of their own,
 * virtqueue_add_inbuf_cache_clean(), v7.0.
 */
#include <linux/virtio.h>

int check(struct virtqueue *vq, struct scatterlist *sg);

int check(struct virtqueue *vq, struct scatterlist *sg)
{
	return virtqueue_add_inbuf_cache_clean(vq, sg, 1, vq, GFP_ATOMIC);
}
