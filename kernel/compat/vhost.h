/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's private vhost.h, as the newest kernel has it.
 */
#ifndef PYKIT_COMPAT_VHOST_H
#define PYKIT_COMPAT_VHOST_H

#include <vhost.h>

/*
 * A chain that is put back may have several descriptors: 779bcdd4b9ae ("vhost: rewind
 * next_avail_head while discarding descriptors"), in 7.2.13, not in 6.12.117.
 * COMPAT_DISCARD_OP(name) defines name_op(), to be called in place of the kernel's function;
 * it calls name(vq, chains, descs).
 */
#ifdef PYKIT_HAVE_VHOST_DISCARD_DESCS
static inline void compat_vhost_discard(struct vhost_virtqueue *vq, int chains,
					unsigned int descs)
{
	vhost_discard_vq_desc(vq, chains, descs);
}

#define COMPAT_DISCARD_OP(name)						\
static void name##_op(struct vhost_virtqueue *vq, int chains,		\
		      unsigned int descs)				\
{									\
	name(vq, chains, descs);					\
}
#else
static inline void compat_vhost_discard(struct vhost_virtqueue *vq, int chains,
					unsigned int descs)
{
	vhost_discard_vq_desc(vq, chains);
}

#define COMPAT_DISCARD_OP(name)						\
static void name##_op(struct vhost_virtqueue *vq, int chains)		\
{									\
	name(vq, chains, chains);					\
}
#endif

/*
 * A used entry may stand for several chains, and a chain's descriptors are counted:
 * 67a873df0c41 ("vhost: basic in order support"), in 7.2.13, not in 6.12.117. Before,
 * each entry stands for one, and @chains and @descs are not looked at.
 *
 * COMPAT_ADD_USED_N_OP(name) and COMPAT_ADD_USED_AND_SIGNAL_N_OP(name) define name_op(), to
 * be called in place of the kernel's functions; they call name(vq, heads, chains, count) and
 * name(dev, vq, heads, chains, count).
 */
#ifdef PYKIT_HAVE_VHOST_IN_ORDER
#define COMPAT_VHOST_GET_DESC_N	vhost_get_vq_desc_n

static inline int compat_vhost_get(struct vhost_virtqueue *vq, struct iovec iov[],
				   unsigned int iov_size, unsigned int *out, unsigned int *in,
				   struct vhost_log *log, unsigned int *log_num,
				   unsigned int *descs)
{
	return vhost_get_vq_desc_n(vq, iov, iov_size, out, in, log, log_num, descs);
}

static inline int compat_vhost_add_used_n(struct vhost_virtqueue *vq,
					  struct vring_used_elem *heads, u16 *chains,
					  unsigned int count)
{
	return vhost_add_used_n(vq, heads, chains, count);
}

#define COMPAT_ADD_USED_N_OP(name)					\
static int name##_op(struct vhost_virtqueue *vq,			\
		     struct vring_used_elem *heads,			\
		     u16 *chains, unsigned int count)			\
{									\
	return name(vq, heads, chains, count);				\
}

#define COMPAT_ADD_USED_AND_SIGNAL_N_OP(name)				\
static void name##_op(struct vhost_dev *dev, struct vhost_virtqueue *vq, \
		      struct vring_used_elem *heads,			\
		      u16 *chains, unsigned int count)			\
{									\
	name(dev, vq, heads, chains, count);				\
}
#else
#define COMPAT_VHOST_GET_DESC_N	NULL

static inline int compat_vhost_get(struct vhost_virtqueue *vq, struct iovec iov[],
				   unsigned int iov_size, unsigned int *out, unsigned int *in,
				   struct vhost_log *log, unsigned int *log_num,
				   unsigned int *descs)
{
	return vhost_get_vq_desc(vq, iov, iov_size, out, in, log, log_num);
}

static inline int compat_vhost_add_used_n(struct vhost_virtqueue *vq,
					  struct vring_used_elem *heads, u16 *chains,
					  unsigned int count)
{
	return vhost_add_used_n(vq, heads, count);
}

#define COMPAT_ADD_USED_N_OP(name)					\
static int name##_op(struct vhost_virtqueue *vq,			\
		     struct vring_used_elem *heads,			\
		     unsigned int count)				\
{									\
	return name(vq, heads, NULL, count);				\
}

#define COMPAT_ADD_USED_AND_SIGNAL_N_OP(name)				\
static void name##_op(struct vhost_dev *dev, struct vhost_virtqueue *vq, \
		      struct vring_used_elem *heads,			\
		      unsigned int count)				\
{									\
	name(dev, vq, heads, NULL, count);				\
}
#endif

/*
 * The argument that says whether to enable translation was never heeded, and went with
 * "vhost: Remove the enabled parameter from vhost_init_device_iotlb" (of January 2023):
 * in 6.1.192, no more in 6.12.117.
 */
static inline int compat_vhost_init_iotlb(struct vhost_dev *dev)
{
#ifdef PYKIT_HAVE_VHOST_IOTLB_ENABLED
	return vhost_init_device_iotlb(dev, true);
#else
	return vhost_init_device_iotlb(dev);
#endif
}

/*
 * Translation ends with features that do not ask for it: vhost_clear_device_iotlb() is a
 * fix that stable kernels take. Before, there is no way back but to reset the owner.
 *
 * Return: whether addresses are not translated from here on.
 */
static inline bool compat_vhost_clear_iotlb(struct vhost_dev *dev)
{
#ifdef PYKIT_HAVE_VHOST_CLEAR_IOTLB
	vhost_clear_device_iotlb(dev);
	return true;
#else
	return !dev->iotlb;
#endif
}

/*
 * Workers are made, and given to queues, by ioctls: c1ecd8e95007 ("vhost: allow userspace
 * to create workers"), v6.5.
 *
 * Return: as vhost_worker_ioctl(), -ENOIOCTLCMD if the ioctl is another one.
 */
static inline long compat_vhost_worker_ioctl(struct vhost_dev *dev, unsigned int cmd,
					     void __user *arg)
{
#ifdef PYKIT_HAVE_VHOST_WORKER_IOCTL
	switch (cmd) {
	case VHOST_NEW_WORKER:
	case VHOST_FREE_WORKER:
	case VHOST_ATTACH_VRING_WORKER:
	case VHOST_GET_VRING_WORKER:
		return vhost_worker_ioctl(dev, cmd, arg);
	}
#endif
	return -ENOIOCTLCMD;
}

#endif /* PYKIT_COMPAT_VHOST_H */
