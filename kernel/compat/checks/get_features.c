// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device may have more features than fit into 64 bits, and a transport only
 * ->get_extended_features(): e7d4c1c5a546 ("virtio: introduce extended
 * features"), v6.17.
 */
#include <linux/virtio_config.h>

void check(struct virtio_device *vdev, u64 *features);

void check(struct virtio_device *vdev, u64 *features)
{
	virtio_get_features(vdev, features);
}
