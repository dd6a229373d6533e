/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is done to a device by way of its transport's operations, and the events
 * that tell of it.
 */
#ifndef PYKIT_CONFIG_H
#define PYKIT_CONFIG_H

#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <trace/events/pykit.h>

/**
 * struct pykit_watcher - a watcher of the operations on a device
 * @by: whose events they are
 * @frozen: whether to trace the features when FEATURES_OK was written
 * @status_write: what is written instead of a status, or NULL
 * @status_read: what is read instead of one, or NULL
 * @found: queues were set up, or NULL
 * @deletes: all queues are about to be deleted, or NULL
 * @disables: a queue is about to be reset by itself, or NULL
 * @enabled: it was set up again, or NULL
 */
struct pykit_watcher {
	enum pykit_by by;
	bool frozen;
	u8 (*status_write)(u8 status);
	u8 (*status_read)(u8 status);
	void (*found)(struct virtio_device *vdev, unsigned int count);
	void (*deletes)(struct virtio_device *vdev);
	void (*disables)(struct virtqueue *vq);
	void (*enabled)(struct virtqueue *vq);
};

int pykit_config_watch(struct virtio_device *vdev,
		       const struct pykit_watcher *watcher);
void pykit_config_unwatch(struct virtio_device *vdev, enum pykit_by by);
void pykit_config_begin(struct virtio_device *vdev, enum pykit_by by);
void pykit_config_features(struct virtio_device *vdev, enum pykit_by by,
			   enum pykit_negotiation stage);
u64 pykit_config_offered(struct virtio_device *vdev);

#endif /* PYKIT_CONFIG_H */
