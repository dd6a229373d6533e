// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio block driver that traces its operations on virtqueues.
 */
#include <linux/blkdev.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio_ids.h>

#include "../compat/blk.h"
#include "../compat/virtio.h"
#include "ring.h"
#include "zoned.h"

DEFINE_IDA(pykit_blk_ida);
struct workqueue_struct *pykit_blk_wq;

/**
 * pykit_blk_trace_stage() - trace a stage in the life of a driver
 * @vdev: the device
 * @stage: the stage
 * @err: what went wrong, or 0
 */
void pykit_blk_trace_stage(struct virtio_device *vdev,
			   enum pykit_stage stage, int err)
{
	trace_pykit_driver(vdev->index, PYKIT_BY_DRIVER, vdev->id.device, err,
			   stage);
}

static void pykit_blk_update_capacity(struct pykit_blk_dev *dev)
{
	u64 capacity;

	virtio_cread(dev->vdev, struct virtio_blk_config, capacity, &capacity);
	set_capacity_and_notify(dev->disk, capacity);
}

static void pykit_blk_config_work(struct work_struct *work)
{
	struct pykit_blk_dev *dev = container_of(work, struct pykit_blk_dev,
						 config_work);
	struct virtio_device *vdev = dev->vdev;
	u8 status = vdev->config->get_status(vdev);

	trace_pykit_config_change(vdev->index, PYKIT_BY_DRIVER, status);
	if (status & VIRTIO_CONFIG_S_NEEDS_RESET) {
		if (!pykit_fault_result(pykit_blk_fault_wait(dev), false))
			pykit_blk_broken(dev);
	} else {
		pykit_blk_update_capacity(dev);
		pykit_blk_look_around(vdev);
	}
}

static void pykit_blk_config_changed(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev = vdev->priv;

	queue_work(pykit_blk_wq, &dev->config_work);
}

static int pykit_blk_init_tags(struct pykit_blk_dev *dev)
{
	struct blk_mq_tag_set *set = &dev->tag_set;

	/* Without indirect descriptors a request takes two or more. */
	set->queue_depth = dev->vqs[0].ring.size;
	if (!virtio_has_feature(dev->vdev, VIRTIO_RING_F_INDIRECT_DESC))
		set->queue_depth = max(set->queue_depth / 2, 1u);
	set->ops = &pykit_blk_mq_ops;
	set->numa_node = NUMA_NO_NODE;
	set->flags = COMPAT_TAG_SET_FLAGS;
	set->cmd_size = struct_size((struct pykit_blk_req *)NULL, sg,
				    PYKIT_BLK_INLINE_SG);
	set->driver_data = dev;
	set->nr_hw_queues = dev->num_vqs;
	set->nr_maps = dev->num_poll ? HCTX_MAX_TYPES : 1;
	/* Without one the block layer's own: that many seconds in between looks. */
	set->timeout = pykit_blk_params.timeout * HZ;
	dev->recovers = set->timeout;
	return blk_mq_alloc_tag_set(set);
}

/**
 * pykit_blk_start_again() - reset a device, and do what the core does before validate()
 * @vdev: the device
 *
 * Return: 0, or an error if the device cannot have these features.
 */
int pykit_blk_start_again(struct virtio_device *vdev)
{
	const struct virtio_config_ops *ops = vdev->config;

	virtio_reset_device(vdev);
	ops->set_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	ops->set_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE |
			      VIRTIO_CONFIG_S_DRIVER);
	return ops->finalize_features(vdev);
}

/*
 * A device whose driver failed has to be reset before it is driven again, and
 * the core leaves that out.
 */
static int pykit_blk_start_anew(struct virtio_device *vdev)
{
	if (!(vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_FAILED))
		return 0;
	return pykit_blk_start_again(vdev);
}

static int pykit_blk_validate(struct virtio_device *vdev)
{
	int err = pykit_blk_start_anew(vdev);

	pykit_blk_trace_stage(vdev, PYKIT_STAGE_BEGIN, 0);
	if (!err)
		err = vdev->config->get ? pykit_blk_config_interpose(vdev) : -EINVAL;
	if (!err)
		err = pykit_blk_choose_features(vdev);
	if (err)
		pykit_blk_trace_stage(vdev, PYKIT_STAGE_FAILED, err);
	else
		pykit_fault_call(pykit_blk_fault_validate(vdev));
	return err;
}

static struct gendisk *pykit_blk_init_disk(struct pykit_blk_dev *dev)
{
	struct pykit_blk_limits lim;
	struct gendisk *disk;
	int err;

	err = pykit_blk_read_limits(dev, &lim);
	if (err)
		return ERR_PTR(err);
	disk = pykit_blk_alloc_disk(dev, &lim);
	if (IS_ERR(disk))
		return disk;
	snprintf(disk->disk_name, DISK_NAME_LEN, "pykit%d", dev->index);
	disk->private_data = dev;
	disk->fops = &pykit_blk_disk_ops;
	dev->zone_sectors = lim.zone_sectors;
	if (virtio_has_feature(dev->vdev, VIRTIO_BLK_F_RO))
		set_disk_ro(disk, true);
	return disk;
}

static int pykit_blk_start_disk(struct pykit_blk_dev *dev)
{
	struct virtio_device *vdev = dev->vdev;
	int err;

	pykit_blk_update_capacity(dev);
	err = pykit_fault_result(pykit_blk_fault_before_ready(dev), 0);
	if (err)
		return err;
	virtio_device_ready(vdev);
	err = pykit_fault_result(pykit_blk_fault_after_ready(dev), 0);
	if (err)
		return err;
	if (dev->zone_sectors) {
		err = compat_revalidate_zones(dev->disk);
		if (err)
			return err;
	}
	return device_add_disk(&vdev->dev, dev->disk, pykit_blk_disk_groups);
}

static int pykit_blk_probe(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev;
	int err;

	pykit_blk_config_frozen(vdev);
	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev) {
		err = -ENOMEM;
		goto out;
	}
	dev->vdev = vdev;
	vdev->priv = dev;
	INIT_WORK(&dev->config_work, pykit_blk_config_work);
	mutex_init(&dev->vdev_lock);
	pykit_blk_init_recovery(dev);
	dev->ring_size = pykit_blk_params.ring_size;
	dev->index = ida_alloc(&pykit_blk_ida, GFP_KERNEL);
	if (dev->index < 0) {
		err = dev->index;
		goto out_free;
	}
	err = pykit_blk_alloc_vqs(dev);
	if (err)
		goto out_index;
	err = pykit_blk_init_vqs(dev);
	if (err)
		goto out_free_vqs;
	err = pykit_blk_init_tags(dev);
	if (err)
		goto out_vqs;
	dev->disk = pykit_blk_init_disk(dev);
	if (IS_ERR(dev->disk)) {
		err = PTR_ERR(dev->disk);
		goto out_tags;
	}
	err = pykit_blk_start_disk(dev);
	if (err)
		goto out_disk;

	pykit_blk_trace_stage(vdev, PYKIT_STAGE_PROBED, 0);
	return 0;

out_disk:
	pykit_blk_stop_recovery(dev);
	virtio_reset_device(vdev);
	pykit_fault_call(pykit_blk_fault_stop(dev));
	/* Was never added, and so does not free the device with it. */
	put_disk(dev->disk);
out_tags:
	blk_mq_free_tag_set(&dev->tag_set);
out_vqs:
	pykit_blk_del_vqs(dev);
out_free_vqs:
	kfree(dev->vqs);
out_index:
	ida_free(&pykit_blk_ida, dev->index);
out_free:
	kfree(dev);
out:
	pykit_blk_trace_stage(vdev, PYKIT_STAGE_FAILED, err);
	return err;
}

static void pykit_blk_remove(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev = vdev->priv;

	pykit_blk_trace_stage(vdev, PYKIT_STAGE_REMOVE, 0);
	flush_work(&dev->config_work);
	/* The transport breaks the queues of a device that is gone already. */
	if (pykit_blk_any_broken(dev))
		pykit_blk_fail_outstanding(dev);
	del_gendisk(dev->disk);
	pykit_blk_stop_recovery(dev);
	pykit_fault_call(pykit_blk_fault_before_reset(dev));
	virtio_reset_device(vdev);
	pykit_fault_call(pykit_blk_fault_after_reset(dev));
	pykit_fault_call(pykit_blk_fault_stop(dev));
	pykit_blk_ring_watch_still(dev);
	blk_mq_free_tag_set(&dev->tag_set);
	pykit_blk_del_vqs(dev);
	kfree(dev->vqs);
	mutex_lock(&dev->vdev_lock);
	dev->vdev = NULL;
	mutex_unlock(&dev->vdev_lock);
	pykit_blk_trace_stage(vdev, PYKIT_STAGE_REMOVED, 0);
	put_disk(dev->disk);
}

/* Lets no request in any more, and waits for those that are inside. */
static void pykit_blk_drain(struct request_queue *queue)
{
	unsigned int memflags = compat_freeze_queue(queue);

	blk_mq_quiesce_queue_nowait(queue);
	compat_unfreeze_queue(queue, memflags);
}

static int __maybe_unused pykit_blk_freeze(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev = vdev->priv;

	pykit_blk_trace_stage(vdev, PYKIT_STAGE_FREEZE, 0);
	if (pykit_blk_any_broken(dev))
		pykit_blk_fail_outstanding(dev);
	pykit_blk_drain(dev->disk->queue);
	pykit_blk_stop_recovery(dev);
	pykit_fault_call(pykit_blk_fault_stop(dev));
	virtio_reset_device(vdev);
	flush_work(&dev->config_work);
	pykit_blk_del_vqs(dev);
	return 0;
}

static int __maybe_unused pykit_blk_restore(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev = vdev->priv;
	int err;

	err = pykit_blk_init_vqs(dev);
	if (!err)
		virtio_device_ready(vdev);
	/* Without queues every request fails, instead of waiting for ever. */
	pykit_blk_resume(dev);
	pykit_blk_trace_stage(vdev, PYKIT_STAGE_RESTORE, err);
	return err;
}

static const struct virtio_device_id id_table[] = {
	{ VIRTIO_ID_BLOCK, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, id_table);

static const unsigned int feature_table[] = {
	VIRTIO_BLK_F_SIZE_MAX,
	VIRTIO_BLK_F_SEG_MAX,
	VIRTIO_BLK_F_GEOMETRY,
	VIRTIO_BLK_F_RO,
	VIRTIO_BLK_F_BLK_SIZE,
	VIRTIO_BLK_F_FLUSH,
	VIRTIO_BLK_F_TOPOLOGY,
	VIRTIO_BLK_F_CONFIG_WCE,
	VIRTIO_BLK_F_MQ,
	VIRTIO_BLK_F_DISCARD,
	VIRTIO_BLK_F_WRITE_ZEROES,
	VIRTIO_BLK_F_LIFETIME,
	VIRTIO_BLK_F_SECURE_ERASE,
	COMPAT_ZONED_FEATURE
};

static struct virtio_driver pykit_blk_driver = {
	.driver.name		= KBUILD_MODNAME,
	/* Before register_virtio_driver() saw to it, it was the driver's part. */
	.driver.owner		= THIS_MODULE,
	.id_table		= id_table,
	.feature_table		= feature_table,
	.feature_table_size	= ARRAY_SIZE(feature_table),
	.validate		= pykit_blk_validate,
	.probe			= pykit_blk_probe,
	.remove			= pykit_blk_remove,
	.config_changed		= pykit_blk_config_changed,
	COMPAT_IF_SLEEP(.freeze = pykit_blk_freeze, .restore = pykit_blk_restore)
};

static int __init pykit_blk_init(void)
{
	int err;

	err = pykit_fault_result(pykit_blk_fault_init(), 0);
	if (err)
		return err;
	/* What waits for it may be memory that is to be freed. */
	pykit_blk_wq = alloc_workqueue("pykit_blk", WQ_MEM_RECLAIM | WQ_UNBOUND,
				       0);
	if (!pykit_blk_wq)
		return -ENOMEM;
	pykit_blk_irq_init();
	err = register_virtio_driver(&pykit_blk_driver);
	if (err) {
		pykit_blk_irq_exit();
		destroy_workqueue(pykit_blk_wq);
	}
	return err;
}
module_init(pykit_blk_init);

static void __exit pykit_blk_exit(void)
{
	unregister_virtio_driver(&pykit_blk_driver);
	pykit_blk_irq_exit();
	pykit_blk_config_exit();
	destroy_workqueue(pykit_blk_wq);
	ida_destroy(&pykit_blk_ida);
}
module_exit(pykit_blk_exit);

MODULE_DESCRIPTION("Instrumented virtio block driver");
MODULE_LICENSE("GPL");
