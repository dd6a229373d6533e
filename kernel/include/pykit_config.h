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
 * enum pykit_stage - what pykit_driver events call the stages of a driver's life
 * @PYKIT_STAGE_BEGIN: the driver was called for a device
 * @PYKIT_STAGE_PROBED: it drives the device
 * @PYKIT_STAGE_FAILED: it does not
 * @PYKIT_STAGE_REMOVE: it is asked to let go
 * @PYKIT_STAGE_REMOVED: it has
 * @PYKIT_STAGE_FREEZE: the machine is to be suspended
 * @PYKIT_STAGE_RESTORE: it was resumed
 * @PYKIT_STAGE_JOINED: it drove the device when its observer came
 */
enum pykit_stage {
	PYKIT_STAGE_BEGIN,
	PYKIT_STAGE_PROBED,
	PYKIT_STAGE_FAILED,
	PYKIT_STAGE_REMOVE,
	PYKIT_STAGE_REMOVED,
	PYKIT_STAGE_FREEZE,
	PYKIT_STAGE_RESTORE,
	PYKIT_STAGE_JOINED,
};

/**
 * enum pykit_negotiation - what pykit_features events call their stages
 * @PYKIT_OFFERED: the core has intersected offer and driver
 * @PYKIT_FINALIZED: they were written again
 * @PYKIT_FROZEN: as the driver's probe() finds them
 */
enum pykit_negotiation {
	PYKIT_OFFERED,
	PYKIT_FINALIZED,
	PYKIT_FROZEN,
};

/**
 * struct pykit_watcher - who is told of what is done to a device
 * @by: whose events they are
 * @frozen: whether to tell of the features when FEATURES_OK was written
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
