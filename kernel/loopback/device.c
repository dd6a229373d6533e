// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtio device: what its driver asks of a transport.
 */
#include <linux/device.h>
#include <linux/module.h>

#include "../compat/virtio.h"
#include "pykit_loopback.h"

static struct pykit_loopback *to_pykit_loopback(struct virtio_device *vdev)
{
	return container_of(vdev, struct pykit_loopback, vdev);
}

static void pykit_loopback_config_get(struct virtio_device *vdev, unsigned int offset,
				      void *buf, unsigned int len)
{
	struct pykit_loopback *l = to_pykit_loopback(vdev);

	memset(buf, 0xff, len);
	if (offset >= l->about.config_len)
		return;
	mutex_lock(&l->lock);
	memcpy(buf, l->about.config + offset,
	       min(len, l->about.config_len - offset));
	mutex_unlock(&l->lock);
}

static void pykit_loopback_config_set(struct virtio_device *vdev, unsigned int offset,
				      const void *buf, unsigned int len)
{
	struct pykit_loopback *l = to_pykit_loopback(vdev);

	if (offset >= l->about.config_len || len > l->about.config_len - offset)
		return;
	mutex_lock(&l->lock);
	memcpy(l->about.config + offset, buf, len);
	mutex_unlock(&l->lock);
}

static u32 pykit_loopback_generation(struct virtio_device *vdev)
{
	return READ_ONCE(to_pykit_loopback(vdev)->generation);
}

static u8 pykit_loopback_get_status(struct virtio_device *vdev)
{
	return READ_ONCE(to_pykit_loopback(vdev)->status);
}

static void pykit_loopback_set_status(struct virtio_device *vdev, u8 status)
{
	struct pykit_loopback *l = to_pykit_loopback(vdev);

	mutex_lock(&l->lock);
	WRITE_ONCE(l->status, status);
	if (status & VIRTIO_CONFIG_S_DRIVER_OK && !l->running) {
		WRITE_ONCE(l->running, true);
		l->serial++;
		wake_up(&l->changed);
	}
	mutex_unlock(&l->lock);
}

static bool pykit_loopback_has_stopped(struct pykit_loopback *l)
{
	return READ_ONCE(l->gone) || READ_ONCE(l->done) == READ_ONCE(l->serial);
}

/* When this returns the back-end is out of the driver's memory. */
static void pykit_loopback_reset(struct virtio_device *vdev)
{
	struct pykit_loopback *l = to_pykit_loopback(vdev);
	unsigned int i;

	mutex_lock(&l->lock);
	WRITE_ONCE(l->status, 0);
	if (l->running) {
		WRITE_ONCE(l->running, false);
		l->serial++;
		wake_up(&l->changed);
	}
	mutex_unlock(&l->lock);
	wait_event(l->changed, pykit_loopback_has_stopped(l));
	for (i = 0; i < l->about.num_queues; i++)
		pykit_loopback_queue_quiesce(&l->vqs[i]);
}

static void pykit_loopback_synchronize_cbs(struct virtio_device *vdev)
{
	struct pykit_loopback *l = to_pykit_loopback(vdev);
	unsigned int i;

	for (i = 0; i < l->about.num_queues; i++) {
		irq_work_sync(&l->vqs[i].called);
		irq_work_sync(&l->vqs[i].deliver);
	}
}

static void pykit_loopback_del_vqs(struct virtio_device *vdev)
{
	struct virtqueue *vq, *next;

	list_for_each_entry_safe(vq, next, &vdev->vqs, list)
		pykit_loopback_queue_delete(vq->priv);
}

static int pykit_loopback_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
				   struct virtqueue *vqs[], const struct compat_vqs *wanted,
				   struct irq_affinity *affinity)
{
	struct pykit_loopback *l = to_pykit_loopback(vdev);
	unsigned int i, index = 0;

	if (nvqs > ARRAY_SIZE(l->vqs))
		return -ENOENT;
	for (i = 0; i < nvqs; i++) {
		const struct virtqueue_info info = compat_vq_info(wanted, i);

		vqs[i] = NULL;
		if (!info.name)
			continue;
		vqs[i] = pykit_loopback_queue_set_up(&l->vqs[index++], info.callback,
						     info.name, info.ctx);
		if (IS_ERR(vqs[i])) {
			int err = PTR_ERR(vqs[i]);

			pykit_loopback_del_vqs(vdev);
			return err;
		}
	}
	return 0;
}

COMPAT_FIND_VQS_OP(pykit_loopback_find_vqs)

static u64 pykit_loopback_get_features(struct virtio_device *vdev)
{
	return to_pykit_loopback(vdev)->about.features;
}

static int pykit_loopback_finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	return vdev->features & BIT_ULL(VIRTIO_F_VERSION_1) ? 0 : -EINVAL;
}

static const char *pykit_loopback_bus_name(struct virtio_device *vdev)
{
	return dev_name(vdev->dev.parent);
}

static const struct virtio_config_ops config_ops = {
	.get			= pykit_loopback_config_get,
	.set			= pykit_loopback_config_set,
	.generation		= pykit_loopback_generation,
	.get_status		= pykit_loopback_get_status,
	.set_status		= pykit_loopback_set_status,
	.reset			= pykit_loopback_reset,
	.synchronize_cbs	= pykit_loopback_synchronize_cbs,
	.find_vqs		= pykit_loopback_find_vqs_op,
	.del_vqs		= pykit_loopback_del_vqs,
	.get_features		= pykit_loopback_get_features,
	.finalize_features	= pykit_loopback_finalize_features,
	.bus_name		= pykit_loopback_bus_name,
};

static void pykit_loopback_release_device(struct device *dev)
{
	pykit_loopback_put(to_pykit_loopback(dev_to_virtio(dev)));
	module_put(THIS_MODULE);
}

/*
 * Not in the ioctl that asks for it: a disk's driver reads partitions before it
 * returns, and by then the caller has to serve.
 */
static void pykit_loopback_begin(struct work_struct *work)
{
	struct pykit_loopback *l = container_of(work, struct pykit_loopback,
						begin);
	int err = register_virtio_device(&l->vdev);

	if (!err)
		return;
	dev_notice_ratelimited(&l->parent->dev, "no virtio device: error %d\n", err);
	WRITE_ONCE(l->failed, true);
	wake_up(&l->changed);
}

static void pykit_loopback_end(struct work_struct *work)
{
	struct pykit_loopback *l = container_of(work, struct pykit_loopback, end);
	struct platform_device *parent = l->parent;

	flush_work(&l->begin);
	if (l->failed)
		put_device(&l->vdev.dev);
	else
		unregister_virtio_device(&l->vdev);
	platform_device_unregister(parent);
}

/**
 * pykit_loopback_create() - make the device
 * @l: loopback, locked, with a description that holds
 *
 * Return: 0, -ENODEV if the module is about to go, or that of what could not be
 * made.
 */
int pykit_loopback_create(struct pykit_loopback *l)
{
	int err;

	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	l->parent = platform_device_register_simple("pykit-loopback",
						    PLATFORM_DEVID_AUTO, NULL, 0);
	if (IS_ERR(l->parent)) {
		err = PTR_ERR(l->parent);
		goto no_parent;
	}
	platform_set_drvdata(l->parent, l);
	if (l->about.bounce_mib) {
		err = pykit_loopback_bounce_create(l, (size_t)l->about.bounce_mib << 20);
		if (err)
			goto no_bounce;
	}
	kref_get(&l->ref);
	l->vdev.id.device = l->about.id;
	l->vdev.config = &config_ops;
	l->vdev.dev.parent = &l->parent->dev;
	l->vdev.dev.release = pykit_loopback_release_device;
	INIT_WORK(&l->begin, pykit_loopback_begin);
	INIT_WORK(&l->end, pykit_loopback_end);
	/* mmap() looks without the lock. */
	smp_store_release(&l->created, true);
	queue_work(pykit_loopback_wq, &l->begin);
	return 0;

no_bounce:
	platform_device_unregister(l->parent);
no_parent:
	module_put(THIS_MODULE);
	return err;
}

/**
 * pykit_loopback_destroy() - have the device go
 * @l: loopback that has one, and no back-end any more
 */
void pykit_loopback_destroy(struct pykit_loopback *l)
{
	unsigned int i;

	WRITE_ONCE(l->gone, true);
	wake_up(&l->changed);
	/* Pairs with notify(): what it did not see is found here. */
	smp_mb();
	for (i = 0; i < l->about.num_queues; i++)
		irq_work_queue(&l->vqs[i].deliver);
	queue_work(pykit_loopback_wq, &l->end);
}
