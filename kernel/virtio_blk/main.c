// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio block driver that says what it does to its virtqueues.
 */
#include <linux/blkdev.h>
#include <linux/cpumask.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/virtio_ids.h>

#include "pykit_blk.h"

/* What pykit_driver events call the stages of a driver's life. */
enum pykit_stage {
	STAGE_BEGIN,
	STAGE_PROBED,
	STAGE_FAILED,
	STAGE_REMOVE,
	STAGE_REMOVED,
	STAGE_FREEZE,
	STAGE_RESTORE,
};

static DEFINE_IDA(pykit_blk_ida);
static struct workqueue_struct *pykit_blk_wq;

static void trace_stage(struct virtio_device *vdev, enum pykit_stage stage,
			int err)
{
	trace_pykit_driver(vdev->index, PYKIT_BY_DRIVER, vdev->id.device, err,
			   stage);
}

static bool any_broken(struct pykit_blk_dev *dev)
{
	unsigned int i;

	/* After a restore that failed there is no queue at all. */
	for (i = 0; dev->vqs && i < dev->num_vqs; i++)
		if (virtqueue_is_broken(dev->vqs[i].vq))
			return true;
	return false;
}

/* What a request reported busy by the tag set has to hear of a dead device. */
static bool fail_request(struct request *req, void *data)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);

	if (!blk_mq_request_completed(req)) {
		rq->status = VIRTIO_BLK_S_IOERR;
		blk_mq_complete_request(req);
	}
	return true;
}

/*
 * No interrupt will come for what is outstanding: stop the device, then fail
 * it. The queues stay broken, so that later requests fail by themselves.
 */
static void fail_outstanding(struct pykit_blk_dev *dev)
{
	struct request_queue *queue = dev->disk->queue;
	unsigned int i;

	mutex_lock(&dev->broken_lock);
	virtio_break_device(dev->vdev);
	blk_mq_quiesce_queue(queue);
	virtio_reset_device(dev->vdev);
	virtio_synchronize_cbs(dev->vdev);
	for (i = 0; i < dev->num_vqs; i++) {
		spin_lock_irq(&dev->vqs[i].lock);
		while (virtqueue_detach_unused_buf(dev->vqs[i].vq))
			;
		spin_unlock_irq(&dev->vqs[i].lock);
	}
	blk_mq_tagset_busy_iter(&dev->tag_set, fail_request, NULL);
	blk_mq_tagset_wait_completed_request(&dev->tag_set);
	blk_mq_unquiesce_queue(queue);
	blk_mq_start_stopped_hw_queues(queue, true);
	mutex_unlock(&dev->broken_lock);
}

static void broken_work(struct work_struct *work)
{
	struct pykit_blk_dev *dev = container_of(work, struct pykit_blk_dev,
						 broken_work);

	dev_err(&dev->vdev->dev, "device is broken: failing its requests\n");
	fail_outstanding(dev);
}

/**
 * pykit_blk_broken() - see to it that nobody waits for a broken device
 * @dev: the device
 */
void pykit_blk_broken(struct pykit_blk_dev *dev)
{
	if (!atomic_xchg(&dev->broken, 1))
		queue_work(pykit_blk_wq, &dev->broken_work);
}

static void update_capacity(struct pykit_blk_dev *dev)
{
	u64 capacity;

	virtio_cread(dev->vdev, struct virtio_blk_config, capacity, &capacity);
	set_capacity_and_notify(dev->disk, capacity);
}

static void config_work(struct work_struct *work)
{
	struct pykit_blk_dev *dev = container_of(work, struct pykit_blk_dev,
						 config_work);
	struct virtio_device *vdev = dev->vdev;
	u8 status = vdev->config->get_status(vdev);

	trace_pykit_config_change(vdev->index, PYKIT_BY_DRIVER, status);
	if (status & VIRTIO_CONFIG_S_NEEDS_RESET)
		pykit_blk_broken(dev);
	else
		update_capacity(dev);
}

static void config_changed(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev = vdev->priv;

	queue_work(pykit_blk_wq, &dev->config_work);
}

static int find_vqs(struct pykit_blk_dev *dev, struct virtqueue **vqs)
{
	struct irq_affinity affinity = { };
	unsigned int i;
	int err = -ENOMEM;
#ifdef PYKIT_HAVE_VIRTQUEUE_INFO
	struct virtqueue_info *info;

	info = kcalloc(dev->num_vqs, sizeof(*info), GFP_KERNEL);
	if (!info)
		return err;
	for (i = 0; i < dev->num_vqs; i++) {
		info[i].name = dev->vqs[i].name;
		info[i].callback = pykit_blk_vq_done;
	}
	err = virtio_find_vqs(dev->vdev, dev->num_vqs, vqs, info, &affinity);
	kfree(info);
#else
	vq_callback_t **callbacks;
	const char **names;

	callbacks = kcalloc(dev->num_vqs, sizeof(*callbacks), GFP_KERNEL);
	names = kcalloc(dev->num_vqs, sizeof(*names), GFP_KERNEL);
	if (callbacks && names) {
		for (i = 0; i < dev->num_vqs; i++) {
			names[i] = dev->vqs[i].name;
			callbacks[i] = pykit_blk_vq_done;
		}
		err = virtio_find_vqs(dev->vdev, dev->num_vqs, vqs, callbacks,
				      names, &affinity);
	}
	kfree(names);
	kfree(callbacks);
#endif
	return err;
}

static void del_vqs(struct pykit_blk_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->num_vqs; i++) {
		pykit_ring_unwatch(&dev->vqs[i].ring);
		/* Else what the core allocated for them is lost. */
		while (virtqueue_detach_unused_buf(dev->vqs[i].vq))
			;
	}
	dev->vdev->config->del_vqs(dev->vdev);
	kfree(dev->vqs);
	dev->vqs = NULL;
}

static int init_vqs(struct pykit_blk_dev *dev)
{
	struct virtio_device *vdev = dev->vdev;
	struct virtqueue **vqs;
	unsigned int i;
	u16 count = 1;
	int err;

	virtio_cread_feature(vdev, VIRTIO_BLK_F_MQ, struct virtio_blk_config,
			     num_queues, &count);
	if (!count) {
		dev_err(&vdev->dev, "multiqueue device without a queue\n");
		return -EINVAL;
	}
	dev->num_vqs = min_t(unsigned int, count, nr_cpu_ids);

	dev->vqs = kcalloc(dev->num_vqs, sizeof(*dev->vqs), GFP_KERNEL);
	vqs = kcalloc(dev->num_vqs, sizeof(*vqs), GFP_KERNEL);
	if (!dev->vqs || !vqs) {
		err = -ENOMEM;
		goto out_free;
	}
	for (i = 0; i < dev->num_vqs; i++)
		snprintf(dev->vqs[i].name, PYKIT_BLK_NAME_LEN, "req.%u", i);
	err = find_vqs(dev, vqs);
	if (err)
		goto out_free;

	for (i = 0; i < dev->num_vqs; i++) {
		struct pykit_blk_vq *q = &dev->vqs[i];

		spin_lock_init(&q->lock);
		q->vq = vqs[i];
		pykit_fault_init_queue(q);
	}
	for (i = 0; i < dev->num_vqs; i++) {
		err = pykit_ring_watch(&dev->vqs[i].ring, dev->vqs[i].vq,
				       PYKIT_BY_DRIVER, dev->num_vqs);
		if (err) {
			kfree(vqs);
			del_vqs(dev);
			return err;
		}
	}
	kfree(vqs);
	atomic_set(&dev->broken, 0);
	return 0;

out_free:
	kfree(vqs);
	kfree(dev->vqs);
	dev->vqs = NULL;
	return err;
}

static int init_tags(struct pykit_blk_dev *dev)
{
	struct blk_mq_tag_set *set = &dev->tag_set;

	/* Without indirect descriptors a request takes two or more. */
	set->queue_depth = dev->vqs[0].ring.size;
	if (!virtio_has_feature(dev->vdev, VIRTIO_RING_F_INDIRECT_DESC))
		set->queue_depth = max(set->queue_depth / 2, 1u);
	set->ops = &pykit_blk_mq_ops;
	set->numa_node = NUMA_NO_NODE;
#ifdef PYKIT_HAVE_SHOULD_MERGE
	set->flags = BLK_MQ_F_SHOULD_MERGE;
#endif
	set->cmd_size = struct_size_t(struct pykit_blk_req, sg,
				      PYKIT_BLK_INLINE_SG);
	set->driver_data = dev;
	set->nr_hw_queues = dev->num_vqs;
	return blk_mq_alloc_tag_set(set);
}

static void free_disk(struct gendisk *disk)
{
	struct pykit_blk_dev *dev = disk->private_data;

	ida_free(&pykit_blk_ida, dev->index);
	kfree(dev);
}

static const struct block_device_operations disk_ops = {
	.owner		= THIS_MODULE,
	.free_disk	= free_disk,
};

static ssize_t serial_show(struct device *d, struct device_attribute *attr,
			   char *buf)
{
	char *id = kzalloc(VIRTIO_BLK_ID_BYTES + 1, GFP_KERNEL);
	ssize_t len;

	if (!id)
		return -ENOMEM;
	len = pykit_blk_get_id(dev_to_disk(d), id);
	if (!len)
		len = sysfs_emit(buf, "%s\n", id);
	else if (len == -EOPNOTSUPP)
		len = 0;
	kfree(id);
	return len;
}
static DEVICE_ATTR_RO(serial);

static const char *const cache_types[] = { "write through", "write back" };

static ssize_t cache_type_show(struct device *d, struct device_attribute *attr,
			       char *buf)
{
	struct pykit_blk_dev *dev = dev_to_disk(d)->private_data;

	return sysfs_emit(buf, "%s\n",
			  cache_types[pykit_blk_write_cache(dev->vdev)]);
}

static ssize_t cache_type_store(struct device *d, struct device_attribute *attr,
				const char *buf, size_t count)
{
	struct gendisk *disk = dev_to_disk(d);
	struct pykit_blk_dev *dev = disk->private_data;
	int type, err;
	u8 wce;

	type = sysfs_match_string(cache_types, buf);
	if (type < 0)
		return type;
	wce = type;
	virtio_cwrite(dev->vdev, struct virtio_blk_config, wce, &wce);
	/* The device has the last word. */
	err = pykit_blk_set_write_cache(disk, pykit_blk_write_cache(dev->vdev));
	return err ?: count;
}
static DEVICE_ATTR_RW(cache_type);

static struct attribute *disk_attrs[] = {
	&dev_attr_serial.attr,
	&dev_attr_cache_type.attr,
	NULL,
};

static umode_t disk_attr_mode(struct kobject *kobj, struct attribute *attr,
			      int n)
{
	struct gendisk *disk = dev_to_disk(kobj_to_dev(kobj));
	struct pykit_blk_dev *dev = disk->private_data;

	if (attr == &dev_attr_cache_type.attr &&
	    !virtio_has_feature(dev->vdev, VIRTIO_BLK_F_CONFIG_WCE))
		return 0444;
	return attr->mode;
}

static const struct attribute_group disk_group = {
	.attrs		= disk_attrs,
	.is_visible	= disk_attr_mode,
};

static const struct attribute_group *disk_groups[] = {
	&disk_group,
	NULL,
};

static int validate(struct virtio_device *vdev)
{
	int err;

	trace_stage(vdev, STAGE_BEGIN, 0);
	err = vdev->config->get ? pykit_config_interpose(vdev) : -EINVAL;
	if (err)
		trace_stage(vdev, STAGE_FAILED, err);
	else
		pykit_fault_validate(vdev);
	return err;
}

static struct gendisk *init_disk(struct pykit_blk_dev *dev)
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
	disk->fops = &disk_ops;
	if (virtio_has_feature(dev->vdev, VIRTIO_BLK_F_RO))
		set_disk_ro(disk, true);
	return disk;
}

static int start_disk(struct pykit_blk_dev *dev)
{
	struct virtio_device *vdev = dev->vdev;
	int err;

	update_capacity(dev);
	err = pykit_fault_before_ready(dev);
	if (err)
		return err;
	virtio_device_ready(vdev);
	err = pykit_fault_after_ready(dev);
	if (err)
		return err;
	return device_add_disk(&vdev->dev, dev->disk, disk_groups);
}

static int probe(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev;
	int err;

	pykit_config_frozen(vdev);
	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev) {
		err = -ENOMEM;
		goto out;
	}
	dev->vdev = vdev;
	vdev->priv = dev;
	INIT_WORK(&dev->config_work, config_work);
	INIT_WORK(&dev->broken_work, broken_work);
	mutex_init(&dev->broken_lock);
	dev->index = ida_alloc(&pykit_blk_ida, GFP_KERNEL);
	if (dev->index < 0) {
		err = dev->index;
		goto out_free;
	}
	err = init_vqs(dev);
	if (err)
		goto out_index;
	err = init_tags(dev);
	if (err)
		goto out_vqs;
	dev->disk = init_disk(dev);
	if (IS_ERR(dev->disk)) {
		err = PTR_ERR(dev->disk);
		goto out_tags;
	}
	err = start_disk(dev);
	if (err)
		goto out_disk;

	trace_stage(vdev, STAGE_PROBED, 0);
	return 0;

out_disk:
	virtio_reset_device(vdev);
	pykit_fault_stop(dev);
	cancel_work_sync(&dev->broken_work);
	/* Was never added, and so does not free the device with it. */
	put_disk(dev->disk);
out_tags:
	blk_mq_free_tag_set(&dev->tag_set);
out_vqs:
	del_vqs(dev);
out_index:
	ida_free(&pykit_blk_ida, dev->index);
out_free:
	kfree(dev);
out:
	trace_stage(vdev, STAGE_FAILED, err);
	return err;
}

static void remove(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev = vdev->priv;

	trace_stage(vdev, STAGE_REMOVE, 0);
	flush_work(&dev->config_work);
	/* The transport breaks the queues of a device that is gone already. */
	if (any_broken(dev))
		fail_outstanding(dev);
	del_gendisk(dev->disk);
	pykit_fault_stop(dev);
	virtio_reset_device(vdev);
	cancel_work_sync(&dev->broken_work);
	blk_mq_free_tag_set(&dev->tag_set);
	del_vqs(dev);
	trace_stage(vdev, STAGE_REMOVED, 0);
	put_disk(dev->disk);
}

#ifdef CONFIG_PM_SLEEP
/* Lets no request in any more, and waits for those that are inside. */
static void drain(struct request_queue *queue)
{
#ifdef PYKIT_HAVE_FREEZE_MEMFLAGS
	unsigned int memflags = blk_mq_freeze_queue(queue);

	blk_mq_quiesce_queue_nowait(queue);
	blk_mq_unfreeze_queue(queue, memflags);
#else
	blk_mq_freeze_queue(queue);
	blk_mq_quiesce_queue_nowait(queue);
	blk_mq_unfreeze_queue(queue);
#endif
}

static int freeze(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev = vdev->priv;

	trace_stage(vdev, STAGE_FREEZE, 0);
	if (any_broken(dev))
		fail_outstanding(dev);
	drain(dev->disk->queue);
	pykit_fault_stop(dev);
	virtio_reset_device(vdev);
	flush_work(&dev->config_work);
	cancel_work_sync(&dev->broken_work);
	del_vqs(dev);
	return 0;
}

static int restore(struct virtio_device *vdev)
{
	struct pykit_blk_dev *dev = vdev->priv;
	int err;

	err = init_vqs(dev);
	if (!err) {
		virtio_device_ready(vdev);
		blk_mq_unquiesce_queue(dev->disk->queue);
	}
	trace_stage(vdev, STAGE_RESTORE, err);
	return err;
}
#endif

static const struct virtio_device_id id_table[] = {
	{ VIRTIO_ID_BLOCK, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, id_table);

static const unsigned int feature_table[] = {
	VIRTIO_BLK_F_SIZE_MAX,
	VIRTIO_BLK_F_SEG_MAX,
	VIRTIO_BLK_F_RO,
	VIRTIO_BLK_F_BLK_SIZE,
	VIRTIO_BLK_F_FLUSH,
	VIRTIO_BLK_F_TOPOLOGY,
	VIRTIO_BLK_F_CONFIG_WCE,
	VIRTIO_BLK_F_MQ,
	VIRTIO_BLK_F_DISCARD,
	VIRTIO_BLK_F_WRITE_ZEROES,
};

static struct virtio_driver pykit_blk_driver = {
	.driver.name		= KBUILD_MODNAME,
	/* Before register_virtio_driver() saw to it, it was the driver's part. */
	.driver.owner		= THIS_MODULE,
	.id_table		= id_table,
	.feature_table		= feature_table,
	.feature_table_size	= ARRAY_SIZE(feature_table),
	.validate		= validate,
	.probe			= probe,
	.remove			= remove,
	.config_changed		= config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze			= freeze,
	.restore		= restore,
#endif
};

static int __init pykit_blk_init(void)
{
	int err;

	err = pykit_fault_init();
	if (err)
		return err;
	/* What waits for it may be memory that is to be freed. */
	pykit_blk_wq = alloc_workqueue("pykit_blk", WQ_MEM_RECLAIM | WQ_UNBOUND,
				       0);
	if (!pykit_blk_wq)
		return -ENOMEM;
	err = register_virtio_driver(&pykit_blk_driver);
	if (err)
		destroy_workqueue(pykit_blk_wq);
	return err;
}
module_init(pykit_blk_init);

static void __exit pykit_blk_exit(void)
{
	unregister_virtio_driver(&pykit_blk_driver);
	pykit_config_exit();
	destroy_workqueue(pykit_blk_wq);
	ida_destroy(&pykit_blk_ida);
}
module_exit(pykit_blk_exit);

MODULE_DESCRIPTION("Instrumented virtio block driver");
MODULE_LICENSE("GPL");
