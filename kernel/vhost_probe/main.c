// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vhost probe: traces what an unmodified vhost back-end does, by the events of
 * our own.
 *
 * A back-end belongs to the process that set it up. That process says, through
 * /dev/pykit-vhost-probe, which virtio device it serves; back-ends of others are
 * not watched.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "pykit_vhost_probe.h"

/* Beyond the numbers that the vhost driver gives its instances. */
#define FIRST_NUMBER	0x10000

/**
 * struct pykit_vprobe_served - one open file
 * @node: in the list of all
 * @mm: whose back-ends are watched, NULL before that was said
 * @number: as trace events name its back-end
 * @serves: index of the virtio device that is served
 */
struct pykit_vprobe_served {
	struct list_head node;
	struct mm_struct *mm;
	u32 number;
	u32 serves;
};

static LIST_HEAD(all_served);
static DEFINE_MUTEX(served_lock);
static u32 last_number = FIRST_NUMBER;

/**
 * pykit_vprobe_served() - whether a back-end is watched
 * @mm: of the process that it belongs to
 * @number: gets its number for trace events
 *
 * Return: whether it is.
 */
bool pykit_vprobe_served(const struct mm_struct *mm, u32 *number)
{
	bool found = false;
	struct pykit_vprobe_served *s;

	mutex_lock(&served_lock);
	list_for_each_entry(s, &all_served, node) {
		if (s->mm && s->mm == mm) {
			*number = s->number;
			found = true;
		}
	}
	mutex_unlock(&served_lock);
	return found;
}

static int pykit_vprobe_open(struct inode *inode, struct file *file)
{
	struct pykit_vprobe_served *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	mutex_lock(&served_lock);
	s->number = last_number++;
	list_add(&s->node, &all_served);
	mutex_unlock(&served_lock);
	file->private_data = s;
	return 0;
}

static int pykit_vprobe_release(struct inode *inode, struct file *file)
{
	struct pykit_vprobe_served *s = file->private_data;

	mutex_lock(&served_lock);
	list_del(&s->node);
	mutex_unlock(&served_lock);
	if (s->mm) {
		trace_pykit_vhost_attach(s->number, s->serves, 1);
		mmdrop(s->mm);
	}
	kfree(s);
	return 0;
}

static long pykit_vprobe_set_serves(struct pykit_vprobe_served *s, const u32 __user *arg)
{
	long err = 0;
	u32 serves;

	if (get_user(serves, arg))
		return -EFAULT;
	mutex_lock(&served_lock);
	if (s->mm && s->mm != current->mm) {
		err = -EBUSY;
	} else {
		if (!s->mm) {
			mmgrab(current->mm);
			s->mm = current->mm;
		}
		s->serves = serves;
		trace_pykit_vhost_attach(s->number, serves, 0);
	}
	mutex_unlock(&served_lock);
	return err;
}

static long pykit_vprobe_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd != PYKIT_VHOST_SERVES)
		return -ENOTTY;
	return pykit_vprobe_set_serves(file->private_data, (const u32 __user *)arg);
}

static const struct file_operations pykit_vprobe_fops = {
	.owner		= THIS_MODULE,
	.open		= pykit_vprobe_open,
	.release	= pykit_vprobe_release,
	.unlocked_ioctl	= pykit_vprobe_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice pykit_vprobe_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pykit-vhost-probe",
	.fops	= &pykit_vprobe_fops,
};

static int __init pykit_vhost_probe_init(void)
{
	int err;

	err = pykit_vprobe_watch();
	if (err) {
		pr_err("%s: vhost cannot be hooked: error %d\n", KBUILD_MODNAME, err);
		return err;
	}
	err = misc_register(&pykit_vprobe_misc);
	if (err)
		pykit_vprobe_forget();
	return err;
}
module_init(pykit_vhost_probe_init);

static void __exit pykit_vhost_probe_exit(void)
{
	misc_deregister(&pykit_vprobe_misc);
	pykit_vprobe_forget();
}
module_exit(pykit_vhost_probe_exit);

MODULE_DESCRIPTION("Watches unmodified vhost back-ends");
MODULE_LICENSE("GPL");
