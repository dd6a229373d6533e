// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_clear_device_iotlb() undoes vhost_init_device_iotlb(), for features that
 * are set without ACCESS_PLATFORM after those with it: in 6.12.117 and 7.2.13, not in
 * 6.1.192; a fix that stable kernels take, so the version says nothing.
 */
#include "vhost.h"

void check(struct vhost_dev *dev);

void check(struct vhost_dev *dev)
{
	vhost_clear_device_iotlb(dev);
}
