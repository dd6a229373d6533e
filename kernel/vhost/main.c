// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vhost-pykit: a vhost block device that traces what it does to its
 * virtqueues, for drivers in userspace to be tried against.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "../common/refusal.h"
#include "pykit_vhost.h"

/* Requests and bytes served before other queues of the worker have their turn. */
#define PYKIT_VHOST_WEIGHT		256
#define PYKIT_VHOST_BYTE_WEIGHT	SZ_1M

/* Data segments of a request: what a queue of 128 without indirect tables holds. */
#define PYKIT_VHOST_SEG_MAX		126

#define PYKIT_VHOST_BACKEND_FEATURES	BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2)

module_param_cb(log_burst, &param_ops_int, &pykit_refusals.burst, 0644);
MODULE_PARM_DESC(log_burst, "Refused requests to log in 5 s (default 10)");

static DEFINE_IDA(pykit_vhost_ida);
static struct miscdevice pykit_vhost_misc;

static u64 pykit_vhost_offered_features(const struct pykit_vhost *v)
{
	u64 features = BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
		       BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |
		       BIT_ULL(VIRTIO_F_VERSION_1) |
		       BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |
		       BIT_ULL(VHOST_F_LOG_ALL) |
		       BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |
		       BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |
		       BIT_ULL(VIRTIO_BLK_F_FLUSH) |
		       BIT_ULL(VIRTIO_BLK_F_MQ);

	if (v->disk.read_only)
		features |= BIT_ULL(VIRTIO_BLK_F_RO);
	else
		features |= BIT_ULL(VIRTIO_BLK_F_DISCARD) |
			    BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES);
	return pykit_fault_result(pykit_vhost_fault_features(features), features);
}

static int pykit_vhost_open(struct inode *inode, struct file *file)
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
		v->vqs[i].vqid.dev = v->index;
		v->vqs[i].vqid.vq = i;
		v->vq_ptrs[i] = &v->vqs[i].vq;
	}
	v->serves = -1;
	init_waitqueue_head(&v->stop);
	vhost_dev_init(&v->dev, v->vq_ptrs, PYKIT_VHOST_MAX_QUEUES, UIO_MAXIOV,
		       PYKIT_VHOST_WEIGHT, PYKIT_VHOST_BYTE_WEIGHT, true, NULL);
	file->private_data = v;
	return 0;
}

static bool pykit_vhost_is_running(struct pykit_vhost *v)
{
	bool running = false;
	unsigned int i;

	for (i = 0; i < PYKIT_VHOST_MAX_QUEUES; i++) {
		struct vhost_virtqueue *vq = &v->vqs[i].vq;

		mutex_lock(&vq->mutex);
		running |= !!vhost_vq_get_backend(vq);
		mutex_unlock(&vq->mutex);
	}
	return running;
}

/* When this returns nothing is being served, and nothing will be. Whether anything was. */
static bool pykit_vhost_stop_queues(struct pykit_vhost *v)
{
	bool served = false;
	unsigned int i;

	/* A queue that is served holds its mutex until it has nothing to do. */
	WRITE_ONCE(v->stopping, true);
	wake_up_all(&v->stop);
	for (i = 0; i < PYKIT_VHOST_MAX_QUEUES; i++) {
		struct vhost_virtqueue *vq = &v->vqs[i].vq;

		mutex_lock(&vq->mutex);
		served |= !!vhost_vq_get_backend(vq);
		vhost_vq_set_backend(vq, NULL);
		mutex_unlock(&vq->mutex);
	}
	vhost_dev_flush(&v->dev);
	WRITE_ONCE(v->stopping, false);
	return served;
}

static int pykit_vhost_release(struct inode *inode, struct file *file)
{
	struct pykit_vhost *v = file->private_data;

	mutex_lock(&v->dev.mutex);
	if (pykit_vhost_stop_queues(v))
		pykit_log_refusal(pykit_vhost_misc.this_device,
				  "closed while queues are active\n");
	mutex_unlock(&v->dev.mutex);
	vhost_dev_stop(&v->dev);
	vhost_dev_cleanup(&v->dev);
	if (v->serves >= 0)
		trace_pykit_vhost_attach(v->index, v->serves, 1);
	pykit_vhost_disk_drop(&v->disk);
	ida_free(&pykit_vhost_ida, v->index);
	kvfree(v);
	return 0;
}

/* Returns 1 if it is served now, 0 if it was not set up, or an error. */
static int pykit_vhost_start_queue(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	int err = 0;

	mutex_lock(&vq->mutex);
	/* With an IOTLB an address of 0 is as good as any other. */
	if (!vq->desc && !vq->avail && !vq->used)
		goto out;
	err = -EFAULT;
	if (!vhost_vq_access_ok(vq))
		goto out;
	vhost_vq_set_backend(vq, v);
	err = vhost_vq_init_access(vq);
	if (err) {
		vhost_vq_set_backend(vq, NULL);
		goto out;
	}
	err = 1;
	pykit_fault_call(pykit_vhost_fault_start(q));
	atomic_set(&q->vqid.seq, 0);
	pykit_trace_vq(vhost_queue, &q->vqid, vq->acked_features, vq->num,
		       vq->last_avail_idx, vq->last_used_idx);
	/* A kick may have come before there was anybody to heed it. */
	vhost_poll_queue(&vq->poll);
out:
	mutex_unlock(&vq->mutex);
	return err;
}

static int pykit_vhost_start_queues(struct pykit_vhost *v)
{
	unsigned int i, started = 0;
	int err;

	for (i = 0; i < PYKIT_VHOST_MAX_QUEUES; i++) {
		err = pykit_vhost_start_queue(v, &v->vqs[i]);
		if (err < 0)
			return err;
		started += err;
	}
	return started ? 0 : -EFAULT;
}

static long pykit_vhost_ioctl_start(struct pykit_vhost *v, const u64 __user *arg)
{
	struct pykit_vhost_disk want = { .fd = -1 };
	long err;

	if (copy_from_user(&want.bytes, arg, sizeof(want.bytes)))
		return -EFAULT;
	mutex_lock(&v->dev.mutex);
	err = vhost_dev_check_owner(&v->dev);
	if (err)
		goto out;
	pykit_vhost_stop_queues(v);
	if (want.bytes ? want.bytes != v->disk.bytes : !v->disk.bytes)
		err = v->disk.file ? -EINVAL : pykit_vhost_disk_set(&v->disk, &want);
	if (!err)
		err = pykit_vhost_start_queues(v);
	if (err)
		pykit_vhost_stop_queues(v);
out:
	mutex_unlock(&v->dev.mutex);
	return err;
}

static long pykit_vhost_ioctl_stop(struct pykit_vhost *v)
{
	long err;

	mutex_lock(&v->dev.mutex);
	err = vhost_dev_check_owner(&v->dev);
	if (!err)
		pykit_vhost_stop_queues(v);
	mutex_unlock(&v->dev.mutex);
	return err;
}

static long pykit_vhost_set_disk(struct pykit_vhost *v,
				 const struct pykit_vhost_disk __user *arg)
{
	struct pykit_vhost_disk want;
	long err;

	if (copy_from_user(&want, arg, sizeof(want)))
		return -EFAULT;
	mutex_lock(&v->dev.mutex);
	err = vhost_dev_check_owner(&v->dev);
	if (!err && pykit_vhost_is_running(v))
		err = -EBUSY;
	if (!err)
		err = pykit_vhost_disk_set(&v->disk, &want);
	mutex_unlock(&v->dev.mutex);
	return err;
}

static long pykit_vhost_reset_owner(struct pykit_vhost *v)
{
	struct vhost_iotlb *umem;
	long err;

	mutex_lock(&v->dev.mutex);
	err = vhost_dev_check_owner(&v->dev);
	if (err)
		goto out;
	umem = vhost_dev_reset_owner_prepare();
	if (!umem) {
		err = -ENOMEM;
		goto out;
	}
	pykit_vhost_stop_queues(v);
	vhost_dev_stop(&v->dev);
	vhost_dev_reset_owner(&v->dev, umem);
out:
	mutex_unlock(&v->dev.mutex);
	return err;
}

/* Returns whether addresses are translated as the features say. */
static bool pykit_vhost_set_translation(struct vhost_dev *dev, u64 features)
{
	if (features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))
		return !compat_vhost_init_iotlb(dev);
	return compat_vhost_clear_iotlb(dev);
}

static long pykit_vhost_set_features(struct pykit_vhost *v, const u64 __user *arg)
{
	long err = -EFAULT;
	unsigned int i;
	u64 features;

	if (copy_from_user(&features, arg, sizeof(features)))
		return -EFAULT;
	mutex_lock(&v->dev.mutex);
	if (features & ~pykit_vhost_offered_features(v)) {
		err = -EOPNOTSUPP;
		goto out;
	}
	if (features & BIT_ULL(VHOST_F_LOG_ALL) && !vhost_log_access_ok(&v->dev))
		goto out;
	if (!pykit_vhost_set_translation(&v->dev, features))
		goto out;
	for (i = 0; i < PYKIT_VHOST_MAX_QUEUES; i++) {
		struct vhost_virtqueue *vq = &v->vqs[i].vq;

		mutex_lock(&vq->mutex);
		vq->acked_features = features;
		mutex_unlock(&vq->mutex);
	}
	err = 0;
out:
	mutex_unlock(&v->dev.mutex);
	return err;
}

static long pykit_vhost_get_features(struct pykit_vhost *v, u64 __user *arg)
{
	u64 features;

	mutex_lock(&v->dev.mutex);
	features = pykit_vhost_offered_features(v);
	mutex_unlock(&v->dev.mutex);
	return put_user(features, arg);
}

static long pykit_vhost_set_backend_features(struct pykit_vhost *v, const u64 __user *arg)
{
	u64 features;

	if (copy_from_user(&features, arg, sizeof(features)))
		return -EFAULT;
	if (features & ~PYKIT_VHOST_BACKEND_FEATURES)
		return -EOPNOTSUPP;
	vhost_set_backend_features(&v->dev, features);
	return 0;
}

static long pykit_vhost_get_config(struct pykit_vhost *v,
				   struct vhost_vdpa_config __user *arg)
{
	const u32 range_sectors = PYKIT_VHOST_MAX_RANGE_BYTES >> SECTOR_SHIFT;
	struct vhost_vdpa_config part;
	struct virtio_blk_config config = {
		.seg_max = __cpu_to_virtio32(true, PYKIT_VHOST_SEG_MAX),
		.blk_size = __cpu_to_virtio32(true, SECTOR_SIZE),
		.num_queues = __cpu_to_virtio16(true, PYKIT_VHOST_MAX_QUEUES),
		.max_discard_sectors = __cpu_to_virtio32(true, range_sectors),
		.max_discard_seg = __cpu_to_virtio32(true, PYKIT_VHOST_MAX_RANGES),
		.discard_sector_alignment = __cpu_to_virtio32(true, 1),
		.max_write_zeroes_sectors = __cpu_to_virtio32(true, range_sectors),
		.max_write_zeroes_seg =
			__cpu_to_virtio32(true, PYKIT_VHOST_MAX_RANGES),
		.write_zeroes_may_unmap = 1,
	};

	if (copy_from_user(&part, arg, sizeof(part)))
		return -EFAULT;
	if (!part.len || part.off >= sizeof(config) ||
	    part.len > sizeof(config) - part.off)
		return -EINVAL;
	mutex_lock(&v->dev.mutex);
	config.capacity = __cpu_to_virtio64(true, v->disk.bytes >> SECTOR_SHIFT);
	mutex_unlock(&v->dev.mutex);
	pykit_fault_call(pykit_vhost_fault_config(&config));
	return copy_to_user(arg->buf, (u8 *)&config + part.off, part.len) ?
		-EFAULT : 0;
}

static long pykit_vhost_set_serves(struct pykit_vhost *v, const u32 __user *arg)
{
	u32 serves;
	long err;

	if (get_user(serves, arg))
		return -EFAULT;
	mutex_lock(&v->dev.mutex);
	err = vhost_dev_check_owner(&v->dev);
	if (!err && pykit_vhost_is_running(v))
		err = -EBUSY;
	if (!err) {
		v->serves = serves;
		trace_pykit_vhost_attach(v->index, serves, 0);
	}
	mutex_unlock(&v->dev.mutex);
	return err;
}

static long pykit_vhost_other_ioctl(struct pykit_vhost *v, unsigned int cmd,
				    void __user *argp)
{
	long err;

	mutex_lock(&v->dev.mutex);
	err = compat_vhost_worker_ioctl(&v->dev, cmd, argp);
	if (err != -ENOIOCTLCMD)
		goto out;
	err = vhost_dev_ioctl(&v->dev, cmd, argp);
	if (err == -ENOIOCTLCMD)
		err = vhost_vring_ioctl(&v->dev, cmd, argp);
	vhost_dev_flush(&v->dev);
out:
	mutex_unlock(&v->dev.mutex);
	return err == -ENOIOCTLCMD ? -ENOTTY : err;
}

static long pykit_vhost_any_ioctl(struct pykit_vhost *v, unsigned int cmd, void __user *argp)
{
	switch (cmd) {
	case PYKIT_VHOST_START:
		return pykit_vhost_ioctl_start(v, argp);
	case PYKIT_VHOST_STOP:
		return pykit_vhost_ioctl_stop(v);
	case PYKIT_VHOST_SET_DISK:
		return pykit_vhost_set_disk(v, argp);
	case PYKIT_VHOST_SERVES:
		return pykit_vhost_set_serves(v, argp);
	case VHOST_RESET_OWNER:
		return pykit_vhost_reset_owner(v);
	case VHOST_GET_FEATURES:
		return pykit_vhost_get_features(v, argp);
	case VHOST_SET_FEATURES:
		return pykit_vhost_set_features(v, argp);
	case VHOST_GET_BACKEND_FEATURES:
		return put_user(PYKIT_VHOST_BACKEND_FEATURES, (u64 __user *)argp);
	case VHOST_SET_BACKEND_FEATURES:
		return pykit_vhost_set_backend_features(v, argp);
	case VHOST_VDPA_GET_CONFIG:
		return pykit_vhost_get_config(v, argp);
	case VHOST_VDPA_GET_VQS_COUNT:
		return put_user(PYKIT_VHOST_MAX_QUEUES, (u32 __user *)argp);
	default:
		return pykit_vhost_other_ioctl(v, cmd, argp);
	}
}

static long pykit_vhost_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	long err = pykit_vhost_any_ioctl(file->private_data, cmd, (void __user *)arg);

	/* The errno is that of the kernel's own vhost drivers, which say no more. */
	if (err)
		pykit_log_refusal(pykit_vhost_misc.this_device,
				  "ioctl %#x refused: error %ld\n", cmd, err);
	return err;
}

static ssize_t pykit_vhost_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct pykit_vhost *v = iocb->ki_filp->private_data;

	return vhost_chr_read_iter(&v->dev, to,
				   iocb->ki_filp->f_flags & O_NONBLOCK);
}

static ssize_t pykit_vhost_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct pykit_vhost *v = iocb->ki_filp->private_data;
	ssize_t done = vhost_chr_write_iter(&v->dev, from);

	if (done < 0)
		pykit_log_refusal(pykit_vhost_misc.this_device,
				  "translation refused: error %zd\n", done);
	return done;
}

static __poll_t pykit_vhost_poll(struct file *file, poll_table *wait)
{
	struct pykit_vhost *v = file->private_data;

	return vhost_chr_poll(file, &v->dev, wait);
}

static const struct file_operations pykit_vhost_fops = {
	.owner		= THIS_MODULE,
	.open		= pykit_vhost_open,
	.release	= pykit_vhost_release,
	.unlocked_ioctl	= pykit_vhost_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.read_iter	= pykit_vhost_read_iter,
	.write_iter	= pykit_vhost_write_iter,
	.poll		= pykit_vhost_poll,
	.llseek		= noop_llseek,
};

static struct miscdevice pykit_vhost_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "vhost-pykit",
	.fops	= &pykit_vhost_fops,
};

static int __init pykit_vhost_init(void)
{
	int err = pykit_fault_result(pykit_vhost_fault_init(), 0);

	return err ? err : misc_register(&pykit_vhost_misc);
}
module_init(pykit_vhost_init);

static void __exit pykit_vhost_exit(void)
{
	misc_deregister(&pykit_vhost_misc);
}
module_exit(pykit_vhost_exit);

MODULE_DESCRIPTION("Instrumented vhost block device over memory or a file");
MODULE_LICENSE("GPL");
