// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_find_vqs() takes an array of struct virtqueue_info: 6c85d6b653ca
 * ("virtio: rename virtio_find_vqs_info() to virtio_find_vqs()"), v6.11.
 */
#include <linux/virtio_config.h>

int check(struct virtio_device *vdev, struct virtqueue **vqs,
	  struct virtqueue_info *info);

int check(struct virtio_device *vdev, struct virtqueue **vqs,
	  struct virtqueue_info *info)
{
	return virtio_find_vqs(vdev, 1, vqs, info, NULL);
}
