/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtio core's interface, as the newest kernel has it.
 */
#ifndef PYKIT_COMPAT_VIRTIO_H
#define PYKIT_COMPAT_VIRTIO_H

#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

/*
 * Queues are asked for by an array of structures instead of one array each of names,
 * callbacks and contexts: 6c85d6b653ca ("virtio: rename virtio_find_vqs_info() to
 * virtio_find_vqs()"), v6.11.
 *
 * A driver calls compat_find_vqs() with the structures. A transport's operation, or what
 * stands in for it, is defined by COMPAT_FIND_VQS_OP(name): its name is name_op(), and it calls
 *
 *	name(vdev, count, vqs, wanted, affinity)
 *
 * whose &struct compat_vqs has the queues in the form of this kernel.
 */
#ifdef PYKIT_HAVE_VIRTQUEUE_INFO
struct compat_vqs {
	struct virtqueue_info *infos;
};

#define COMPAT_FIND_VQS_OP(name)					\
static int name##_op(struct virtio_device *vdev, unsigned int count,	\
		     struct virtqueue *vqs[],				\
		     struct virtqueue_info infos[],			\
		     struct irq_affinity *affinity)			\
{									\
	const struct compat_vqs wanted = { .infos = infos };		\
									\
	return name(vdev, count, vqs, &wanted, affinity);		\
}

static inline struct virtqueue_info compat_vq_info(const struct compat_vqs *wanted,
						   unsigned int i)
{
	return wanted->infos[i];
}

static inline int compat_transport_find_vqs(const struct virtio_config_ops *ops,
					    struct virtio_device *vdev, unsigned int count,
					    struct virtqueue *vqs[],
					    const struct compat_vqs *wanted,
					    struct irq_affinity *affinity)
{
	return ops->find_vqs(vdev, count, vqs, wanted->infos, affinity);
}

static inline int compat_find_vqs(struct virtio_device *vdev, unsigned int count,
				  struct virtqueue *vqs[], struct virtqueue_info infos[],
				  struct irq_affinity *affinity)
{
	return virtio_find_vqs(vdev, count, vqs, infos, affinity);
}
#else
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
	bool ctx;
};

struct compat_vqs {
	vq_callback_t **callbacks;
	const char *const *names;
	const bool *ctx;
};

#define COMPAT_FIND_VQS_OP(name)					\
static int name##_op(struct virtio_device *vdev, unsigned int count,	\
		     struct virtqueue *vqs[], vq_callback_t *callbacks[], \
		     const char *const names[], const bool *ctx,	\
		     struct irq_affinity *affinity)			\
{									\
	const struct compat_vqs wanted = {				\
		.callbacks = callbacks, .names = names, .ctx = ctx,	\
	};								\
									\
	return name(vdev, count, vqs, &wanted, affinity);		\
}

static inline struct virtqueue_info compat_vq_info(const struct compat_vqs *wanted,
						   unsigned int i)
{
	return (struct virtqueue_info){
		.name = wanted->names[i],
		.callback = wanted->callbacks[i],
		.ctx = wanted->ctx && wanted->ctx[i],
	};
}

static inline int compat_transport_find_vqs(const struct virtio_config_ops *ops,
					    struct virtio_device *vdev, unsigned int count,
					    struct virtqueue *vqs[],
					    const struct compat_vqs *wanted,
					    struct irq_affinity *affinity)
{
	return ops->find_vqs(vdev, count, vqs, wanted->callbacks, wanted->names, wanted->ctx,
			     affinity);
}

static inline int compat_find_vqs(struct virtio_device *vdev, unsigned int count,
				  struct virtqueue *vqs[], struct virtqueue_info infos[],
				  struct irq_affinity *affinity)
{
	vq_callback_t **callbacks = kcalloc(count, sizeof(*callbacks), GFP_KERNEL);
	const char **names = kcalloc(count, sizeof(*names), GFP_KERNEL);
	int err = -ENOMEM;
	unsigned int i;

	if (callbacks && names) {
		for (i = 0; i < count; i++) {
			names[i] = infos[i].name;
			callbacks[i] = infos[i].callback;
		}
		err = virtio_find_vqs(vdev, count, vqs, callbacks, names, affinity);
	}
	kfree(names);
	kfree(callbacks);
	return err;
}
#endif

/*
 * The core says when it has recycled the buffers: 8d6712c89201 ("virtio_ring: add a func
 * argument 'recycle_done' to virtqueue_resize()"), v6.13.
 */
static inline int compat_virtqueue_resize(struct virtqueue *vq, u32 size,
					  void (*recycle)(struct virtqueue *vq, void *buf))
{
#ifdef PYKIT_HAVE_RECYCLE_DONE
	return virtqueue_resize(vq, size, recycle, NULL);
#else
	return virtqueue_resize(vq, size, recycle);
#endif
}

/*
 * Drivers can reset a queue: 8d2da07c813a ("virtio_ring: add a func argument 'recycle_done'
 * to virtqueue_reset()"), v6.13.
 *
 * Return: as virtqueue_reset(), -EOPNOTSUPP without it.
 */
static inline int compat_virtqueue_reset(struct virtqueue *vq,
					 void (*recycle)(struct virtqueue *vq, void *buf))
{
#ifdef PYKIT_HAVE_VIRTQUEUE_RESET
	return virtqueue_reset(vq, recycle, NULL);
#else
	return -EOPNOTSUPP;
#endif
}

/* A device may map its buffers in a way of its own: bee8c7c24b73, v6.18. */
static inline bool compat_has_own_map(const struct virtio_device *vdev)
{
#ifdef PYKIT_HAVE_VDEV_MAP
	return vdev->map;
#else
	return false;
#endif
}

/*
 * A device may have more features than fit into 64 bits, and a transport only
 * ->get_extended_features(): e7d4c1c5a546 ("virtio: introduce extended features"), v6.17.
 *
 * Return: the first 64 features that the device offers.
 */
static inline u64 compat_offered_features(struct virtio_device *vdev)
{
#ifdef PYKIT_HAVE_GET_FEATURES
	u64 features[VIRTIO_FEATURES_U64S];

	virtio_get_features(vdev, features);
	return features[0];
#else
	return vdev->config->get_features(vdev);
#endif
}

/*
 * A kernel without CONFIG_PM_SLEEP has neither the core's functions nor, before v6.11, the
 * driver's: COMPAT_IF_SLEEP() initialises those.
 */
#ifdef CONFIG_PM_SLEEP
#define COMPAT_IF_SLEEP(...)	__VA_ARGS__,
#define COMPAT_DEVICE_FREEZE	virtio_device_freeze
#define COMPAT_DEVICE_RESTORE	virtio_device_restore

static inline int compat_device_freeze(struct virtio_device *vdev)
{
	return virtio_device_freeze(vdev);
}

static inline int compat_device_restore(struct virtio_device *vdev)
{
	return virtio_device_restore(vdev);
}
#else
#define COMPAT_IF_SLEEP(...)
#define COMPAT_DEVICE_FREEZE	NULL
#define COMPAT_DEVICE_RESTORE	NULL

static inline int compat_device_freeze(struct virtio_device *vdev)
{
	return -EOPNOTSUPP;
}

static inline int compat_device_restore(struct virtio_device *vdev)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* PYKIT_COMPAT_VIRTIO_H */
