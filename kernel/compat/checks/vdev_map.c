// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device may map its buffers in a way of its own: "virtio: introduce map ops
 * in virtio core", v6.18.
 */
#include <linux/virtio.h>

bool check(struct virtio_device *vdev);

bool check(struct virtio_device *vdev)
{
	return vdev->map;
}
