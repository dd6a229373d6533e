// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's virtqueues: how many, of which size, and for what.
 */
#include <linux/interrupt.h>
#include <linux/slab.h>

#include "../compat/virtio.h"
#include "ring.h"

/**
 * pykit_blk_alloc_vqs() - decide how many queues a device is used with
 * @dev: the device
 *
 * That stays so until the device is removed, whatever it says after a restore.
 *
 * Return: 0, -EINVAL if the device says what cannot be, or -ENOMEM.
 */
int pykit_blk_alloc_vqs(struct pykit_blk_dev *dev)
{
	const struct pykit_blk_params *params = &pykit_blk_params;
	struct virtio_device *vdev = dev->vdev;
	unsigned int i, most = nr_cpu_ids;
	u16 count = 1;

	virtio_cread_feature(vdev, VIRTIO_BLK_F_MQ, struct virtio_blk_config,
			     num_queues, &count);
	if (!count) {
		dev_err(&vdev->dev, "multiqueue device without a queue\n");
		return -EINVAL;
	}
	if (params->num_queues)
		most = min(most, params->num_queues);
	dev->num_vqs = min_t(unsigned int, count, most);
	/* One at least interrupts. */
	dev->num_poll = min(params->poll_queues, dev->num_vqs - 1);
	if (params->poll_queues)
		dev_info(&vdev->dev, "%u/%u default/poll queues\n",
			 dev->num_vqs - dev->num_poll, dev->num_poll);

	dev->vqs = kcalloc(dev->num_vqs, sizeof(*dev->vqs), GFP_KERNEL);
	if (!dev->vqs)
		return -ENOMEM;
	for (i = 0; i < dev->num_vqs; i++) {
		struct pykit_blk_vq *q = &dev->vqs[i];
		bool polled = i >= dev->num_vqs - dev->num_poll;

		snprintf(q->name, sizeof(q->name), "req%s.%u",
			 polled ? "_poll" : "", i);
		spin_lock_init(&q->lock);
		pykit_fault_call(pykit_blk_fault_init_queue(q));
	}
	return 0;
}

/* A polled queue has no callback. */
static vq_callback_t *pykit_blk_callback(struct pykit_blk_dev *dev, unsigned int i)
{
	return i < dev->num_vqs - dev->num_poll ? pykit_blk_vq_done : NULL;
}

static int pykit_blk_find_vqs(struct pykit_blk_dev *dev, struct virtqueue **vqs)
{
	struct irq_affinity affinity = { };
	unsigned int i;
	struct virtqueue_info *infos;
	int err;

	infos = kcalloc(dev->num_vqs, sizeof(*infos), GFP_KERNEL);
	if (!infos)
		return -ENOMEM;
	for (i = 0; i < dev->num_vqs; i++) {
		infos[i].name = dev->vqs[i].name;
		infos[i].callback = pykit_blk_callback(dev, i);
	}
	err = compat_find_vqs(dev->vdev, dev->num_vqs, vqs, infos, &affinity);
	kfree(infos);
	return err;
}

/* There is nothing yet that a smaller ring would have no room for. */
static void pykit_blk_recycle(struct virtqueue *vq, void *buf)
{
}

static int pykit_blk_resize(struct virtqueue *vq, unsigned int size)
{
	int err = compat_virtqueue_resize(vq, size, pykit_blk_recycle);

	if (err)
		dev_err(&vq->vdev->dev, "ring %s of %u descriptors cannot have %u: %d\n",
			vq->name, virtqueue_get_vring_size(vq), size, err);
	return err;
}

static void pykit_blk_begin(struct pykit_blk_vq *q)
{
	if (trace_pykit_blk_wrote_enabled())
		q->data = pykit_data_get(q->vq->vdev);
	if (PYKIT_HAS_FAULTS)
		pykit_blk_fault_set_up(q);
	else
		pykit_ring_begin(&q->ring);
}

/**
 * pykit_blk_init_vqs() - set up a device's virtqueues
 * @dev: the device, not ready yet
 *
 * Return: 0 or an error.
 */
int pykit_blk_init_vqs(struct pykit_blk_dev *dev)
{
	struct virtqueue **vqs;
	unsigned int i;
	int err;

	vqs = kcalloc(dev->num_vqs, sizeof(*vqs), GFP_KERNEL);
	if (!vqs)
		return -ENOMEM;
	err = pykit_blk_find_vqs(dev, vqs);
	if (err)
		goto out;
	for (i = 0; i < dev->num_vqs; i++)
		dev->vqs[i].vq = vqs[i];
	for (i = 0; i < dev->num_vqs && !err; i++) {
		if (dev->ring_size)
			err = pykit_blk_resize(vqs[i], dev->ring_size);
		if (!err)
			err = pykit_ring_init(&dev->vqs[i].ring, vqs[i],
					      PYKIT_BY_DRIVER, dev->num_vqs);
		if (!err)
			pykit_blk_begin(&dev->vqs[i]);
	}
	if (err)
		pykit_blk_del_vqs(dev);
	else
		atomic_set(&dev->broken, 0);
out:
	kfree(vqs);
	return err;
}

/**
 * pykit_blk_del_vqs() - delete a device's virtqueues
 * @dev: the device; it was reset
 */
void pykit_blk_del_vqs(struct pykit_blk_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->num_vqs; i++) {
		struct pykit_blk_vq *q = &dev->vqs[i];
		struct virtqueue *vq = q->vq;

		if (!vq)
			return;
		/* The queue may be polled at the same time. */
		spin_lock_irq(&q->lock);
		q->vq = NULL;
		spin_unlock_irq(&q->lock);
		/* Else what the core allocated for them is lost. */
		pykit_blk_ring_empty(q, vq);
		pykit_ring_end(&q->ring, PYKIT_QUEUE_DELETED);
		pykit_data_put(q->data);
		q->data = NULL;
	}
	dev->vdev->config->del_vqs(dev->vdev);
}
