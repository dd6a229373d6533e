// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers can be made, and given to queues, by ioctls: c1ecd8e95007 ("vhost:
 * allow userspace to create workers"), v6.5.
 */
#include "vhost.h"

long check(struct vhost_dev *dev, void __user *arg);

long check(struct vhost_dev *dev, void __user *arg)
{
	return vhost_worker_ioctl(dev, VHOST_NEW_WORKER, arg);
}
