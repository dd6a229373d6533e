// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtqueue_reset() is there, and says when it has recycled: 8d2da07c813a
 * ("virtio_ring: add a func argument 'recycle_done' to virtqueue_reset()"), v6.13.
 */
#include <linux/virtio.h>

int check(struct virtqueue *vq, void (*recycle)(struct virtqueue *vq, void *buf));

int check(struct virtqueue *vq, void (*recycle)(struct virtqueue *vq, void *buf))
{
	return virtqueue_reset(vq, recycle, NULL);
}
