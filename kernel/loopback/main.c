// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/pykit-loopback: what the process asks for that joins a virtio device to a
 * vhost back-end of the same kernel.
 */
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/ioport.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../common/refusal.h"
#include "pykit_loopback.h"

/* Bits of the ring and the transport; all others are the device's. */
#define FIRST_TRANSPORT_BIT	24
#define LAST_TRANSPORT_BIT	41
/* vhost knows split rings only. */
#define TRANSPORT_FEATURES				\
	(BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |		\
	 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |		\
	 BIT_ULL(VIRTIO_F_VERSION_1) |			\
	 BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))

module_param_cb(log_burst, &param_ops_int, &pykit_refusals.burst, 0644);
MODULE_PARM_DESC(log_burst, "Refused requests to log in 5 s (default 10)");

struct workqueue_struct *pykit_loopback_wq;
static struct miscdevice pykit_loopback_misc;

static void pykit_loopback_free(struct kref *ref)
{
	struct pykit_loopback *l = container_of(ref, struct pykit_loopback, ref);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(l->vqs); i++)
		pykit_loopback_queue_release(&l->vqs[i]);
	pykit_loopback_bounce_free(l);
	kfree(l);
}

/**
 * pykit_loopback_put() - drop a reference
 * @l: loopback
 */
void pykit_loopback_put(struct pykit_loopback *l)
{
	kref_put(&l->ref, pykit_loopback_free);
}

static int pykit_loopback_open(struct inode *inode, struct file *file)
{
	struct pykit_loopback *l;
	unsigned int i;

	/* All of memory can be had here. */
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	l = kzalloc(sizeof(*l), GFP_KERNEL);
	if (!l)
		return -ENOMEM;
	kref_init(&l->ref);
	mutex_init(&l->lock);
	init_waitqueue_head(&l->changed);
	for (i = 0; i < ARRAY_SIZE(l->vqs); i++)
		pykit_loopback_queue_init(&l->vqs[i], l);
	file->private_data = l;
	return 0;
}

static int pykit_loopback_release(struct inode *inode, struct file *file)
{
	struct pykit_loopback *l = file->private_data;

	/*
	 * A mapping holds the file, and a back-end the memory map of its owner:
	 * no back-end can reach the driver's memory any more.
	 */
	if (l->created)
		pykit_loopback_destroy(l);
	pykit_loopback_put(l);
	return 0;
}

static const char *pykit_loopback_check(struct pykit_loopback *l,
					const struct pykit_loopback_device *about)
{
	u64 transport = GENMASK_ULL(LAST_TRANSPORT_BIT, FIRST_TRANSPORT_BIT);
	unsigned int i;

	if (!about->id)
		return "device refused: it has no device id";
	if (!(about->features & BIT_ULL(VIRTIO_F_VERSION_1)))
		return "device refused: it does not offer VERSION_1";
	if (about->features & transport & ~TRANSPORT_FEATURES)
		return "device refused: it offers transport features that the loopback lacks";
	if (!(about->features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)) ==
	    !!about->bounce_mib)
		return "device refused: ACCESS_PLATFORM and bounce memory need each other";
	if (about->bounce_mib > PYKIT_LOOPBACK_MAX_BOUNCE_MIB)
		return "device refused: too much bounce memory";
	if (about->config_len > sizeof(about->config))
		return "device refused: its configuration space is too long";
	if (about->delay_ms > PYKIT_LOOPBACK_MAX_DELAY_MS)
		return "device refused: its interrupt delay is too long";
	if (!about->num_queues || about->num_queues > ARRAY_SIZE(l->vqs))
		return "device refused: it has no queues, or too many";
	for (i = 0; i < about->num_queues; i++) {
		u32 size = about->queues[i].size;

		if (!is_power_of_2(size) || size > 32768)
			return "device refused: a queue size is no power of two up to 32768";
		if (!l->vqs[i].kick)
			return "device refused: a queue has no eventfds";
	}
	return NULL;
}

static long pykit_loopback_ioctl_create(struct pykit_loopback *l,
					const struct pykit_loopback_device __user *arg)
{
	struct pykit_loopback_device *about;
	const char *wrong;
	unsigned int i;
	long err;

	about = memdup_user(arg, sizeof(*about));
	if (IS_ERR(about))
		return PTR_ERR(about);
	mutex_lock(&l->lock);
	err = -EBUSY;
	if (l->created)
		goto out;
	err = -EINVAL;
	wrong = pykit_loopback_check(l, about);
	if (wrong) {
		pykit_log_refusal(pykit_loopback_misc.this_device, "%s\n", wrong);
		goto out;
	}
	l->about = *about;
	for (i = 0; i < about->num_queues; i++)
		l->vqs[i].about = about->queues[i];
	err = pykit_loopback_create(l);
out:
	mutex_unlock(&l->lock);
	kfree(about);
	return err;
}

static long pykit_loopback_set_events(struct pykit_loopback *l,
				      const struct pykit_loopback_events __user *arg)
{
	struct pykit_loopback_events events;
	long err = -EBUSY;

	if (copy_from_user(&events, arg, sizeof(events)))
		return -EFAULT;
	if (events.queue >= ARRAY_SIZE(l->vqs))
		return -EINVAL;
	mutex_lock(&l->lock);
	if (!l->created)
		err = pykit_loopback_queue_events(&l->vqs[events.queue], events.kick,
						  events.call);
	mutex_unlock(&l->lock);
	return err;
}

static long pykit_loopback_get_state(struct pykit_loopback *l,
				     struct pykit_loopback_state __user *arg)
{
	struct pykit_loopback_state state = { };
	unsigned int i;

	mutex_lock(&l->lock);
	state.serial = l->serial;
	state.index = l->vdev.index;
	state.running = l->running;
	/* Queues come before DRIVER_OK, and go after the reset. */
	if (l->running) {
		state.features = l->vdev.features;
		for (i = 0; i < l->about.num_queues; i++)
			state.rings[i] = l->vqs[i].ring;
	}
	mutex_unlock(&l->lock);
	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static long pykit_loopback_set_done(struct pykit_loopback *l, const u32 __user *arg)
{
	long err = -EAGAIN;
	u32 serial;

	if (get_user(serial, arg))
		return -EFAULT;
	mutex_lock(&l->lock);
	if (serial == l->serial) {
		WRITE_ONCE(l->done, serial);
		wake_up(&l->changed);
		err = 0;
	}
	mutex_unlock(&l->lock);
	return err;
}

static long pykit_loopback_set_config(struct pykit_loopback *l,
				      const struct pykit_loopback_config __user *arg)
{
	struct pykit_loopback_config *config;
	long err = -EINVAL;
	bool running;

	config = memdup_user(arg, sizeof(*config));
	if (IS_ERR(config))
		return PTR_ERR(config);
	mutex_lock(&l->lock);
	if (config->offset < l->about.config_len &&
	    config->len <= l->about.config_len - config->offset) {
		memcpy(l->about.config + config->offset, config->data,
		       config->len);
		WRITE_ONCE(l->generation, l->generation + 1);
		err = 0;
	}
	running = l->running;
	mutex_unlock(&l->lock);
	if (!err && running)
		virtio_config_changed(&l->vdev);
	kfree(config);
	return err;
}

static long pykit_loopback_drain(struct pykit_loopback *l)
{
	unsigned int i;

	mutex_lock(&l->lock);
	for (i = 0; i < l->about.num_queues; i++)
		irq_work_queue(&l->vqs[i].deliver);
	mutex_unlock(&l->lock);
	return 0;
}

static long pykit_loopback_ioctl(struct file *file, unsigned int cmd,
				 unsigned long arg)
{
	struct pykit_loopback *l = file->private_data;
	void __user *argp = (void __user *)arg;

	switch (cmd) {
	case PYKIT_LOOPBACK_SET_EVENTS:
		return pykit_loopback_set_events(l, argp);
	case PYKIT_LOOPBACK_CREATE:
		return pykit_loopback_ioctl_create(l, argp);
	case PYKIT_LOOPBACK_STATE:
		return pykit_loopback_get_state(l, argp);
	case PYKIT_LOOPBACK_DONE:
		return pykit_loopback_set_done(l, argp);
	case PYKIT_LOOPBACK_SET_CONFIG:
		return pykit_loopback_set_config(l, argp);
	case PYKIT_LOOPBACK_DRAIN:
		return pykit_loopback_drain(l);
	default:
		return -ENOTTY;
	}
}

static __poll_t pykit_loopback_poll(struct file *file, poll_table *table)
{
	struct pykit_loopback *l = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &l->changed, table);
	if (READ_ONCE(l->serial) != READ_ONCE(l->done))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(l->failed))
		mask |= EPOLLERR;
	return mask;
}

static int pykit_loopback_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pykit_loopback *l = file->private_data;
	unsigned long bytes = vma->vm_end - vma->vm_start;
	int err;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	/* Under the lock of the mappings, which comes after ours elsewhere. */
	if (smp_load_acquire(&l->created) && l->bounce)
		return pykit_loopback_bounce_mmap(l, vma);
	if (region_intersects(PFN_PHYS(vma->vm_pgoff), bytes,
			      IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_INTERSECTS)
		return -EINVAL;
	/* As /dev/mem, which maps the same. */
	err = security_locked_down(LOCKDOWN_DEV_MEM);
	if (err)
		return err;
	/* At once: a back-end's worker may not wait for the map's lock. */
	return remap_pfn_range(vma, vma->vm_start, vma->vm_pgoff, bytes,
			       vma->vm_page_prot);
}

static const struct file_operations pykit_loopback_fops = {
	.owner		= THIS_MODULE,
	.open		= pykit_loopback_open,
	.release	= pykit_loopback_release,
	.unlocked_ioctl	= pykit_loopback_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.poll		= pykit_loopback_poll,
	.mmap		= pykit_loopback_mmap,
	.llseek		= noop_llseek,
};

static struct miscdevice pykit_loopback_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pykit-loopback",
	.fops	= &pykit_loopback_fops,
};

static int __init pykit_loopback_init(void)
{
	int err;

	pykit_loopback_wq = alloc_workqueue("pykit-loopback", WQ_UNBOUND, 0);
	if (!pykit_loopback_wq)
		return -ENOMEM;
	err = misc_register(&pykit_loopback_misc);
	if (err)
		destroy_workqueue(pykit_loopback_wq);
	return err;
}
module_init(pykit_loopback_init);

static void __exit pykit_loopback_exit(void)
{
	misc_deregister(&pykit_loopback_misc);
	/* The work that let go of the last device may not have returned yet. */
	destroy_workqueue(pykit_loopback_wq);
}
module_exit(pykit_loopback_exit);

MODULE_DESCRIPTION("Virtio transport whose device side is a vhost back-end of the same kernel");
MODULE_LICENSE("GPL");
