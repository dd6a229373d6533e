// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio transport brings its own operations that map buffers, instead of
 * borrowing those of a DMA device: bee8c7c24b73 ("virtio: introduce map ops in
 * virtio core"), v6.18.
 */
#include <linux/virtio_config.h>

void check(struct virtio_device *vdev, const struct virtio_map_ops *ops);

void check(struct virtio_device *vdev, const struct virtio_map_ops *ops)
{
	vdev->map = ops;
}
