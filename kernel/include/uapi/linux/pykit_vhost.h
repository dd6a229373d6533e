/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/vhost-pykit: a virtio block device over memory or a file, driven through
 * virtqueues that userspace sets up by the ioctls of <linux/vhost.h>.
 *
 * PYKIT_VHOST_SET_DISK says what the device keeps its data in, while it is
 * stopped. Without it that is memory, of as many bytes as the first start says.
 *
 * PYKIT_VHOST_START, after the ioctls of vhost, serves every queue that is set
 * up. Its argument is the length of the disk in bytes, a multiple of 512; 0 for
 * the disk that was set. Memory keeps its contents for the next start with the
 * same length.
 *
 * PYKIT_VHOST_STOP returns when no queue is served any more. A request is not
 * left half done; what was not taken yet stays in the available ring.
 *
 * VHOST_VDPA_GET_CONFIG reads the configuration space (struct virtio_blk_config)
 * of the disk as it is, and VHOST_VDPA_GET_VQS_COUNT the number of queues.
 *
 * PYKIT_VHOST_SERVES says, for the trace, which virtio device of the same kernel
 * is served from the next start on, by the device's index. /dev/pykit-vhost-probe
 * takes it, too, for back-ends of the kernel's own that the process has set up.
 *
 * With VIRTIO_F_ACCESS_PLATFORM addresses are translated by what is written to
 * the file (struct vhost_msg_v2), and misses can be read from it.
 */
#ifndef _UAPI_LINUX_PYKIT_VHOST_H
#define _UAPI_LINUX_PYKIT_VHOST_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vhost.h>

#define PYKIT_VHOST_DEV		"/dev/vhost-pykit"
#define PYKIT_VHOST_PROBE_DEV	"/dev/pykit-vhost-probe"
#define PYKIT_VHOST_ID		"pykit-vhost"
#define PYKIT_VHOST_MAX_QUEUES	4
#define PYKIT_VHOST_MAX_BYTES	0x40000000

/* The disk cannot be written to, and VIRTIO_BLK_F_RO is on offer. */
#define PYKIT_VHOST_DISK_RO	1

/**
 * struct pykit_vhost_disk - what the device keeps its data in
 * @bytes: its length, a multiple of 512; 0 for all of the file
 * @fd: a regular file or a block device that is open for reading, and for
 *	writing unless it is read-only; -1 for memory
 * @flags: PYKIT_VHOST_DISK_RO or 0
 */
struct pykit_vhost_disk {
	__u64 bytes;
	__s32 fd;
	__u32 flags;
};

#define PYKIT_VHOST_START	_IOW(VHOST_VIRTIO, 0xE0, __u64)
#define PYKIT_VHOST_STOP	_IO(VHOST_VIRTIO, 0xE1)
#define PYKIT_VHOST_SET_DISK	_IOW(VHOST_VIRTIO, 0xE2, struct pykit_vhost_disk)
#define PYKIT_VHOST_SERVES	_IOW(VHOST_VIRTIO, 0xE7, __u32)

#endif /* _UAPI_LINUX_PYKIT_VHOST_H */
