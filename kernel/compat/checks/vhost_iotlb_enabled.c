// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_init_device_iotlb() takes whether it is enabled, which it never heeded, until
 * "vhost: Remove the enabled parameter from vhost_init_device_iotlb" (of January 2023):
 * in 6.1.192, no more in 6.12.117.
 */
#include "vhost.h"

int check(struct vhost_dev *dev);

int check(struct vhost_dev *dev)
{
	return vhost_init_device_iotlb(dev, true);
}
