/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/vhost-pykit: a virtio block device over a RAM disk, driven through a
 * virtqueue that userspace sets up by the ioctls of <linux/vhost.h>.
 *
 * PYKIT_VHOST_START, after all of those, gives the device its RAM disk, of so
 * many bytes (a multiple of 512), and serves every queue that is set up.
 * PYKIT_VHOST_STOP returns when no queue is served any more; the contents are
 * kept for the next start with the same size.
 */
#ifndef _UAPI_LINUX_PYKIT_VHOST_H
#define _UAPI_LINUX_PYKIT_VHOST_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vhost.h>

#define PYKIT_VHOST_DEV		"/dev/vhost-pykit"
#define PYKIT_VHOST_ID		"pykit-vhost"
#define PYKIT_VHOST_MAX_QUEUES	4
#define PYKIT_VHOST_MAX_BYTES	0x40000000

#define PYKIT_VHOST_START	_IOW(VHOST_VIRTIO, 0xE0, __u64)
#define PYKIT_VHOST_STOP	_IO(VHOST_VIRTIO, 0xE1)

#endif /* _UAPI_LINUX_PYKIT_VHOST_H */
