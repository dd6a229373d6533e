// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtqueue_resize() says when it has recycled: 8d6712c89201 ("virtio_ring: add a
 * func argument 'recycle_done' to virtqueue_resize()"), v6.13.
 */
#include <linux/virtio.h>

int check(struct virtqueue *vq, void (*recycle)(struct virtqueue *vq, void *buf));

int check(struct virtqueue *vq, void (*recycle)(struct virtqueue *vq, void *buf))
{
	return virtqueue_resize(vq, 2, recycle, NULL);
}
