/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vhost test driver, shared by its files.
 *
 * main.c	the character device and its ioctls
 * serve.c	block requests: from the virtqueue to the RAM disk and back
 */
#ifndef PYKIT_VHOST_H
#define PYKIT_VHOST_H

#include <trace/events/pykit.h>
#include <uapi/linux/pykit_vhost.h>

/* The kernel's own, private to drivers/vhost. */
#include "vhost.h"

/**
 * struct pykit_vhost_vq - a queue of an instance
 * @vq: vhost's part; its mutex serialises everything
 * @at: how trace events name this queue
 */
struct pykit_vhost_vq {
	struct vhost_virtqueue vq;
	struct pykit_at at;
};

/**
 * struct pykit_vhost - one open file of /dev/vhost-pykit
 * @dev: vhost's part
 * @vqs: its queues
 * @vq_ptrs: the same, as vhost wants them
 * @disk: RAM disk, NULL before the first start
 * @bytes: length of @disk
 * @index: number of the instance, as trace events name it
 *
 * Only ioctls change @disk and @bytes, under @dev's mutex and while no queue is
 * served; a queue that is served reads them.
 */
struct pykit_vhost {
	struct vhost_dev dev;
	struct pykit_vhost_vq vqs[PYKIT_VHOST_MAX_QUEUES];
	struct vhost_virtqueue *vq_ptrs[PYKIT_VHOST_MAX_QUEUES];
	u8 *disk;
	u64 bytes;
	int index;
};

/* serve.c */
void pykit_vhost_handle_kick(struct vhost_work *work);

#endif /* PYKIT_VHOST_H */
