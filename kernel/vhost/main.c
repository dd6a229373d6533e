// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vhost-pykit: a vhost block device that says what it does to its
 * virtqueues, for drivers in userspace to be tried against.
 */
#include <linux/blkdev.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/virtio_blk.h>
#include <linux/vmalloc.h>

#include "pykit_vhost.h"

/* Requests and bytes served before other queues of the worker have their turn. */
#define VHOST_WEIGHT		256
#define VHOST_BYTE_WEIGHT	SZ_1M

#define PYKIT_VHOST_FEATURES					\
	(BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |			\
	 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |			\
	 BIT_ULL(VIRTIO_F_VERSION_1) |				\
	 BIT_ULL(VIRTIO_BLK_F_FLUSH) |				\
	 BIT_ULL(VIRTIO_BLK_F_DISCARD) |			\
	 BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES))

static DEFINE_IDA(pykit_vhost_ida);

static int vhost_open(struct inode *inode, struct file *file)
{
	struct pykit_vhost *v = kvzalloc(sizeof(*v), GFP_KERNEL);
	unsigned int i;

	if (!v)
		return -ENOMEM;
	v->index = ida_alloc(&pykit_vhost_ida, GFP_KERNEL);
	if (v->index < 0) {
		int err = v->index;

		kvfree(v);
		return err;
	}
	for (i = 0; i < PYKIT_VHOST_MAX_QUEUES; i++) {
		v->vqs[i].vq.handle_kick = pykit_vhost_handle_kick;
		v->vqs[i].at.dev = v->index;
		v->vqs[i].at.vq = i;
		v->vq_ptrs[i] = &v->vqs[i].vq;
	}
	vhost_dev_init(&v->dev, v->vq_ptrs, PYKIT_VHOST_MAX_QUEUES, UIO_MAXIOV,
		       VHOST_WEIGHT, VHOST_BYTE_WEIGHT, true, NULL);
	file->private_data = v;
	return 0;
}

/* When this returns nothing is being served, and nothing will be. */
static void stop(struct pykit_vhost *v)
{
	unsigned int i;

	for (i = 0; i < PYKIT_VHOST_MAX_QUEUES; i++) {
		struct vhost_virtqueue *vq = &v->vqs[i].vq;

		mutex_lock(&vq->mutex);
		vhost_vq_set_backend(vq, NULL);
		mutex_unlock(&vq->mutex);
	}
	vhost_dev_flush(&v->dev);
}

static int vhost_release(struct inode *inode, struct file *file)
{
	struct pykit_vhost *v = file->private_data;

	mutex_lock(&v->dev.mutex);
	stop(v);
	mutex_unlock(&v->dev.mutex);
	vhost_dev_stop(&v->dev);
	vhost_dev_cleanup(&v->dev);
	vfree(v->disk);
	ida_free(&pykit_vhost_ida, v->index);
	kvfree(v);
	return 0;
}

/* The RAM disk, as long as asked for. No queue is served. */
static int resize_disk(struct pykit_vhost *v, u64 bytes)
{
	u8 *disk;

	if (!bytes || bytes > PYKIT_VHOST_MAX_BYTES || bytes & (SECTOR_SIZE - 1))
		return -EINVAL;
	if (v->disk && v->bytes == bytes)
		return 0;
	disk = vzalloc(bytes);
	if (!disk)
		return -ENOMEM;
	vfree(v->disk);
	v->disk = disk;
	v->bytes = bytes;
	return 0;
}

static int start_queue(struct pykit_vhost *v, struct vhost_virtqueue *vq)
{
	int err = 0;

	mutex_lock(&vq->mutex);
	if (vhost_vq_is_setup(vq)) {
		vhost_vq_set_backend(vq, v);
		err = vhost_vq_init_access(vq);
		if (err)
			vhost_vq_set_backend(vq, NULL);
		else
			/* A kick may have come before there was anybody to heed it. */
			vhost_poll_queue(&vq->poll);
	}
	mutex_unlock(&vq->mutex);
	return err;
}

static long vhost_start(struct pykit_vhost *v, const u64 __user *arg)
{
	unsigned int i;
	u64 bytes;
	long err;

	if (copy_from_user(&bytes, arg, sizeof(bytes)))
		return -EFAULT;
	mutex_lock(&v->dev.mutex);
	err = vhost_dev_check_owner(&v->dev);
	if (err)
		goto out;
	stop(v);
	err = resize_disk(v, bytes);
	for (i = 0; !err && i < PYKIT_VHOST_MAX_QUEUES; i++)
		err = start_queue(v, &v->vqs[i].vq);
	if (err)
		stop(v);
out:
	mutex_unlock(&v->dev.mutex);
	return err;
}

static long vhost_stop(struct pykit_vhost *v)
{
	long err;

	mutex_lock(&v->dev.mutex);
	err = vhost_dev_check_owner(&v->dev);
	if (!err)
		stop(v);
	mutex_unlock(&v->dev.mutex);
	return err;
}

static long set_features(struct pykit_vhost *v, const u64 __user *arg)
{
	unsigned int i;
	u64 features;

	if (copy_from_user(&features, arg, sizeof(features)))
		return -EFAULT;
	if (features & ~PYKIT_VHOST_FEATURES)
		return -EOPNOTSUPP;
	mutex_lock(&v->dev.mutex);
	for (i = 0; i < PYKIT_VHOST_MAX_QUEUES; i++) {
		struct vhost_virtqueue *vq = &v->vqs[i].vq;

		mutex_lock(&vq->mutex);
		vq->acked_features = features;
		mutex_unlock(&vq->mutex);
	}
	mutex_unlock(&v->dev.mutex);
	return 0;
}

static long vhost_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pykit_vhost *v = file->private_data;
	void __user *argp = (void __user *)arg;
	u64 features = PYKIT_VHOST_FEATURES;
	long err;

	switch (cmd) {
	case PYKIT_VHOST_START:
		return vhost_start(v, argp);
	case PYKIT_VHOST_STOP:
		return vhost_stop(v);
	case VHOST_GET_FEATURES:
		return copy_to_user(argp, &features, sizeof(features)) ?
			-EFAULT : 0;
	case VHOST_SET_FEATURES:
		return set_features(v, argp);
	default:
		mutex_lock(&v->dev.mutex);
		err = vhost_dev_ioctl(&v->dev, cmd, argp);
		if (err == -ENOIOCTLCMD)
			err = vhost_vring_ioctl(&v->dev, cmd, argp);
		vhost_dev_flush(&v->dev);
		mutex_unlock(&v->dev.mutex);
		return err;
	}
}

static const struct file_operations vhost_fops = {
	.owner		= THIS_MODULE,
	.open		= vhost_open,
	.release	= vhost_release,
	.unlocked_ioctl	= vhost_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice vhost_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "vhost-pykit",
	.fops	= &vhost_fops,
};
module_misc_device(vhost_misc);

MODULE_DESCRIPTION("Instrumented vhost block device over a RAM disk");
MODULE_LICENSE("GPL");
