// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio transport in software.
 */
#include <linux/module.h>
#include <linux/virtio_ids.h>

#include "../compat/virtio.h"
#include "soft.h"

static void soft_get(struct virtio_device *vdev, unsigned int offset, void *buf,
		     unsigned int len)
{
	struct soft_dev *dev = to_soft(vdev);

	memset(buf, 0, len);
	if (offset < dev->config_len)
		memcpy(buf, dev->config + offset,
		       min_t(size_t, len, dev->config_len - offset));
}

static void soft_set(struct virtio_device *vdev, unsigned int offset,
		     const void *buf, unsigned int len)
{
	struct soft_dev *dev = to_soft(vdev);

	if (offset + len <= dev->config_len)
		memcpy(dev->config + offset, buf, len);
}

/* No field changes by itself. */
static u32 soft_generation(struct virtio_device *vdev)
{
	return 0;
}

static u8 soft_get_status(struct virtio_device *vdev)
{
	return to_soft(vdev)->status;
}

static void soft_set_status(struct virtio_device *vdev, u8 status)
{
	struct soft_dev *dev = to_soft(vdev);

	dev->status = status;
	if (status & VIRTIO_CONFIG_S_FEATURES_OK && dev->accepts && !dev->accepts(dev))
		dev->status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (dev->num_statuses < ARRAY_SIZE(dev->statuses))
		dev->statuses[dev->num_statuses++] = status;
}

static void soft_reset(struct virtio_device *vdev)
{
	struct soft_dev *dev = to_soft(vdev);

	soft_set_status(vdev, 0);
	if (dev->reset)
		dev->reset(dev);
}

static u64 soft_get_features(struct virtio_device *vdev)
{
	return to_soft(vdev)->features;
}

static int soft_finalize_features(struct virtio_device *vdev)
{
	/* A queue of its own can be reset: see soft_ops. */
	bool ring_reset = virtio_has_feature(vdev, VIRTIO_F_RING_RESET);

	vring_transport_features(vdev);
	if (ring_reset)
		__virtio_set_bit(vdev, VIRTIO_F_RING_RESET);
	return 0;
}

static bool soft_notify(struct virtqueue *vq)
{
	struct soft_vq *q = vq->priv;

	if (q->dev->deaf)
		return false;
	q->notified++;
	if (q->dev->notify)
		q->dev->notify(q);
	return true;
}

static void soft_del_vqs(struct virtio_device *vdev)
{
	struct soft_dev *dev = to_soft(vdev);
	unsigned int i;

	for (i = 0; i < dev->num_vqs; i++) {
		if (dev->vqs[i].vq)
			vring_del_virtqueue(dev->vqs[i].vq);
		dev->vqs[i].vq = NULL;
	}
}

static int soft_find_vq(struct soft_dev *dev, unsigned int i, vq_callback_t *callback,
			const char *name)
{
	struct soft_vq *q = &dev->vqs[i];
	struct virtqueue *vq;

	vq = vring_create_virtqueue(i, dev->ring_size, PAGE_SIZE, &dev->vdev,
				    true, false, false, soft_notify, callback,
				    name);
	if (!vq)
		return -ENOMEM;
	vq->num_max = dev->ring_size;
	vq->priv = q;
	q->vq = vq;
	q->dev = dev;
	soft_start(q);
	return 0;
}

static int soft_find_vqs(struct virtio_device *vdev, unsigned int count,
			 struct virtqueue *vqs[], const struct compat_vqs *wanted,
			 struct irq_affinity *affinity)
{
	struct soft_dev *dev = to_soft(vdev);
	unsigned int i;
	int err = 0;

	if (count > dev->num_vqs)
		return -ENOENT;
	for (i = 0; i < count && !err; i++) {
		const struct virtqueue_info info = compat_vq_info(wanted, i);

		err = soft_find_vq(dev, i, info.callback, info.name);
		vqs[i] = dev->vqs[i].vq;
	}
	if (err)
		soft_del_vqs(vdev);
	return err;
}

COMPAT_FIND_VQS_OP(soft_find_vqs)

static int soft_disable_vq(struct virtqueue *vq)
{
	vq->reset = true;
	return 0;
}

static int soft_enable_vq(struct virtqueue *vq)
{
	vq->reset = false;
	soft_start(vq->priv);
	return 0;
}

static const struct virtio_config_ops soft_ops = {
	.get			= soft_get,
	.set			= soft_set,
	.generation		= soft_generation,
	.get_status		= soft_get_status,
	.set_status		= soft_set_status,
	.reset			= soft_reset,
	.find_vqs		= soft_find_vqs_op,
	.del_vqs		= soft_del_vqs,
	.get_features		= soft_get_features,
	.finalize_features	= soft_finalize_features,
	.disable_vq_and_reset	= soft_disable_vq,
	.enable_vq_after_reset	= soft_enable_vq,
};

static void soft_release(struct device *d)
{
	struct soft_dev *dev = to_soft(dev_to_virtio(d));

	dev->free(dev);
}

/**
 * soft_register() - give a device to the virtio core, and so to its driver
 * @dev: the device; all that is not the transport's is set, the rest is zero
 * @parent: its parent
 * @id: device type
 *
 * Return: 0, or an error: then the device is freed.
 */
int soft_register(struct soft_dev *dev, struct device *parent, u32 id)
{
	int err;

	dev->vdev.id.device = id;
	dev->vdev.id.vendor = VIRTIO_DEV_ANY_ID;
	dev->vdev.config = &soft_ops;
	dev->vdev.dev.parent = parent;
	dev->vdev.dev.release = soft_release;
	err = register_virtio_device(&dev->vdev);
	if (err)
		put_device(&dev->vdev.dev);
	return err;
}

/**
 * soft_unregister() - take a device away, and free it
 * @dev: the device
 */
void soft_unregister(struct soft_dev *dev)
{
	unregister_virtio_device(&dev->vdev);
}
