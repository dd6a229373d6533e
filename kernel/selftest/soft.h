/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio device in software: a transport and the device's side of its queues.
 *
 * Driver and device share this kernel's memory, addresses are physical, and the
 * device acts only when one of its functions is called.
 */
#ifndef PYKIT_SOFT_H
#define PYKIT_SOFT_H

#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#define SOFT_MAX_VQS	4
#define SOFT_MAX_BUFS	130

struct soft_dev;

/**
 * struct soft_buf - a buffer that the driver made available
 * @addr: where it is
 * @len: its length in bytes
 */
struct soft_buf {
	void *addr;
	u32 len;
};

/**
 * struct soft_chain - a chain that the device has taken
 * @id: its head, or buffer id
 * @slots: ring descriptors it takes
 * @indirect: whether it is an indirect table
 * @out: how many buffers the device reads
 * @in: how many it writes
 * @bufs: first the ones, then the others
 */
struct soft_chain {
	u16 id;
	u16 slots;
	bool indirect;
	unsigned int out;
	unsigned int in;
	struct soft_buf bufs[SOFT_MAX_BUFS];
};

/**
 * struct soft_vq - the device's side of a virtqueue
 * @vq: the driver's side, NULL if there is none
 * @dev: the device
 * @next_avail: where the next chain is taken
 * @next_used: where the next used entry goes
 * @avail_wrap: packed: wrap counter of @next_avail
 * @used_wrap: packed: wrap counter of @next_used
 * @pushed: by how much it moved on since it last asked about an interrupt
 * @notified: how often the driver has notified the device
 */
struct soft_vq {
	struct virtqueue *vq;
	struct soft_dev *dev;
	u16 next_avail;
	u16 next_used;
	bool avail_wrap;
	bool used_wrap;
	u16 pushed;
	unsigned int notified;
};

/**
 * struct soft_dev - a virtio device in software
 * @vdev: as the core knows it
 * @features: features on offer
 * @status: status byte
 * @statuses: every status that was written, since the device was made
 * @num_statuses: how many those are
 * @ring_size: descriptors of a queue, at most
 * @config: configuration space
 * @config_len: its length
 * @deaf: whether notifying the device fails
 * @notify: called when a queue is notified, may be NULL
 * @accepts: whether it can do with the features that the driver chose, may be NULL
 * @reset: called when the device is reset, may be NULL
 * @free: frees what the device is part of
 * @num_vqs: how many queues it has
 * @vqs: its queues
 */
struct soft_dev {
	struct virtio_device vdev;
	u64 features;
	u8 status;
	u8 statuses[32];
	unsigned int num_statuses;
	unsigned int ring_size;
	void *config;
	size_t config_len;
	bool deaf;
	void (*notify)(struct soft_vq *q);
	bool (*accepts)(struct soft_dev *dev);
	void (*reset)(struct soft_dev *dev);
	void (*free)(struct soft_dev *dev);
	unsigned int num_vqs;
	struct soft_vq vqs[SOFT_MAX_VQS];
};

static inline struct soft_dev *to_soft(struct virtio_device *vdev)
{
	return container_of(vdev, struct soft_dev, vdev);
}

/* soft.c */
int soft_register(struct soft_dev *dev, struct device *parent, u32 id);
void soft_unregister(struct soft_dev *dev);

/* ring.c */
void soft_start(struct soft_vq *q);
bool soft_pop(struct soft_vq *q, struct soft_chain *chain);
void soft_push(struct soft_vq *q, u32 id, u32 len, u16 slots);
bool soft_wants_interrupt(struct soft_vq *q);
void soft_wants_notify(struct soft_vq *q, bool wants);

#endif /* PYKIT_SOFT_H */
