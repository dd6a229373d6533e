// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_init_device_iotlb() takes whether it is enabled, which it never heeded:
 * in v6.1, no more in v6.12.
 */
#include "vhost.h"

int probe(struct vhost_dev *dev);

int probe(struct vhost_dev *dev)
{
	return vhost_init_device_iotlb(dev, true);
}
