// SPDX-License-Identifier: GPL-2.0-only
/*
 * The transport's operations, interposed to be seen.
 *
 * While anybody watches a device it points at a copy of its transport's
 * operations, of which some come here first.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include <pykit_config.h>

#include "../compat/virtio.h"

#define WATCHERS	(PYKIT_BY_PROBE + 1)

/**
 * struct pykit_config - operations of one device, interposed
 * @ops: what the device points at meanwhile
 * @orig: what it pointed at
 * @watchers: the watchers, by &enum pykit_by
 * @begun: whether each has yet to hear of the first features of a negotiation
 */
struct pykit_config {
	struct virtio_config_ops ops;
	const struct virtio_config_ops *orig;
	const struct pykit_watcher *watchers[WATCHERS];
	bool begun[WATCHERS];
};

/* Held to change who watches what. */
static DEFINE_MUTEX(pykit_config_lock);
/* Read by operations under way. */
DEFINE_STATIC_SRCU(pykit_config_srcu);

static u8 pykit_config_get_status(struct virtio_device *vdev);

static struct pykit_config *pykit_config_interposed(const struct virtio_config_ops *ops)
{
	if (ops->get_status != pykit_config_get_status)
		return NULL;
	return container_of(ops, struct pykit_config, ops);
}

/**
 * struct pykit_op - an operation under way
 * @orig: the transport's operations
 * @cfg: its watchers, NULL if the operations were put back in between
 * @idx: of the read side
 */
struct pykit_op {
	const struct virtio_config_ops *orig;
	struct pykit_config *cfg;
	int idx;
};

static struct pykit_op pykit_config_op_begin(struct virtio_device *vdev)
	__acquires(&pykit_config_srcu)
{
	struct pykit_op op = { .idx = srcu_read_lock(&pykit_config_srcu) };

	op.orig = READ_ONCE(vdev->config);
	op.cfg = pykit_config_interposed(op.orig);
	if (op.cfg)
		op.orig = op.cfg->orig;
	return op;
}

static void pykit_config_op_end(const struct pykit_op *op)
	__releases(&pykit_config_srcu)
{
	srcu_read_unlock(&pykit_config_srcu, op->idx);
}

static const struct pykit_watcher *pykit_config_watcher_from(const struct pykit_op *op,
							     unsigned int by)
{
	for (; op->cfg && by < WATCHERS; by++) {
		const struct pykit_watcher *w = READ_ONCE(op->cfg->watchers[by]);

		if (w)
			return w;
	}
	return NULL;
}

static const struct pykit_watcher *pykit_config_first_watcher(const struct pykit_op *op)
{
	return pykit_config_watcher_from(op, 0);
}

static const struct pykit_watcher *pykit_config_next_watcher(const struct pykit_op *op,
							     const struct pykit_watcher *w)
{
	return pykit_config_watcher_from(op, w->by + 1);
}

/**
 * pykit_config_offered() - what the device offers
 * @vdev: the device
 *
 * Return: its first 64 features.
 */
u64 pykit_config_offered(struct virtio_device *vdev)
{
	return compat_offered_features(vdev);
}
EXPORT_SYMBOL_GPL(pykit_config_offered);

static u64 pykit_config_driver_features(struct virtio_device *vdev, u64 offered)
{
	struct virtio_driver *drv = drv_to_virtio(vdev->dev.driver);
	unsigned int i, size = drv->feature_table_size;
	const unsigned int *table = drv->feature_table;
	/* Of the transport's features the core decides. */
	u64 features = vdev->features & GENMASK_ULL(VIRTIO_TRANSPORT_F_END - 1,
						    VIRTIO_TRANSPORT_F_START);

	if (drv->feature_table_legacy && !(offered & BIT_ULL(VIRTIO_F_VERSION_1))) {
		table = drv->feature_table_legacy;
		size = drv->feature_table_size_legacy;
	}
	for (i = 0; i < size; i++)
		if (table[i] < 64)
			features |= BIT_ULL(table[i]);
	return features;
}

/**
 * pykit_config_features() - trace the state of feature negotiation
 * @vdev: the device, which has a driver
 * @by: source of the event
 * @stage: how far
 */
void pykit_config_features(struct virtio_device *vdev, enum pykit_by by,
			   enum pykit_negotiation stage)
{
	u64 offered = pykit_config_offered(vdev);

	trace_pykit_features(vdev->index, by, offered,
			     pykit_config_driver_features(vdev, offered), vdev->features,
			     stage);
}
EXPORT_SYMBOL_GPL(pykit_config_features);

static void pykit_config_trace_access(struct virtio_device *vdev, const struct pykit_op *op,
				      unsigned int offset, const void *buf, unsigned int len,
				      u8 write)
{
	const struct pykit_watcher *w;
	__le64 value = 0;

	memcpy(&value, buf, min_t(size_t, len, sizeof(value)));
	for (w = pykit_config_first_watcher(op); w; w = pykit_config_next_watcher(op, w))
		trace_pykit_config(vdev->index, w->by, le64_to_cpu(value), offset,
				   len, write);
}

static void pykit_config_get(struct virtio_device *vdev, unsigned int offset,
			     void *buf, unsigned int len)
{
	struct pykit_op op = pykit_config_op_begin(vdev);

	op.orig->get(vdev, offset, buf, len);
	pykit_config_trace_access(vdev, &op, offset, buf, len, 0);
	pykit_config_op_end(&op);
}

static void pykit_config_set(struct virtio_device *vdev, unsigned int offset,
			     const void *buf, unsigned int len)
{
	struct pykit_op op = pykit_config_op_begin(vdev);

	pykit_config_trace_access(vdev, &op, offset, buf, len, 1);
	op.orig->set(vdev, offset, buf, len);
	pykit_config_op_end(&op);
}

static u32 pykit_config_generation(struct virtio_device *vdev)
{
	struct pykit_op op = pykit_config_op_begin(vdev);
	u32 generation = op.orig->generation(vdev);
	const struct pykit_watcher *w;

	for (w = pykit_config_first_watcher(&op); w; w = pykit_config_next_watcher(&op, w))
		trace_pykit_generation(vdev->index, w->by, generation);
	pykit_config_op_end(&op);
	return generation;
}

static void pykit_config_trace_status(struct virtio_device *vdev, const struct pykit_op *op,
				      u8 status, enum pykit_status_op done)
{
	const struct pykit_watcher *w;

	for (w = pykit_config_first_watcher(op); w; w = pykit_config_next_watcher(op, w))
		trace_pykit_status(vdev->index, w->by, status, done);
}

static u8 pykit_config_get_status(struct virtio_device *vdev)
{
	struct pykit_op op = pykit_config_op_begin(vdev);
	u8 status = op.orig->get_status(vdev);
	const struct pykit_watcher *w;

	pykit_config_trace_status(vdev, &op, status, PYKIT_STATUS_READ);
	for (w = pykit_config_first_watcher(&op); w; w = pykit_config_next_watcher(&op, w))
		if (w->status_read)
			status = w->status_read(status);
	pykit_config_op_end(&op);
	return status;
}

/* FEATURES_OK is written once by itself, and once more with DRIVER_OK. */
static bool pykit_config_is_features_ok(u8 status)
{
	return status & VIRTIO_CONFIG_S_FEATURES_OK &&
	       !(status & VIRTIO_CONFIG_S_DRIVER_OK);
}

static void pykit_config_set_status(struct virtio_device *vdev, u8 status)
{
	struct pykit_op op = pykit_config_op_begin(vdev);
	u8 wanted = status;
	const struct pykit_watcher *w;

	for (w = pykit_config_first_watcher(&op); w; w = pykit_config_next_watcher(&op, w))
		if (w->status_write)
			wanted = w->status_write(wanted);
	if (wanted == status || op.orig->get_status(vdev) != wanted) {
		pykit_config_trace_status(vdev, &op, wanted, PYKIT_STATUS_WRITE);
		op.orig->set_status(vdev, wanted);
		for (w = pykit_config_first_watcher(&op); w; w = pykit_config_next_watcher(&op, w))
			if (w->frozen && pykit_config_is_features_ok(wanted))
				pykit_config_features(vdev, w->by, PYKIT_FROZEN);
	}
	pykit_config_op_end(&op);
}

static void pykit_config_reset(struct virtio_device *vdev)
{
	struct pykit_op op = pykit_config_op_begin(vdev);

	pykit_config_trace_status(vdev, &op, 0, PYKIT_STATUS_RESET);
	op.orig->reset(vdev);
	pykit_config_op_end(&op);
}

static int pykit_config_finalize_features(struct virtio_device *vdev)
{
	struct pykit_op op = pykit_config_op_begin(vdev);
	int err = op.orig->finalize_features(vdev);
	const struct pykit_watcher *w;

	for (w = pykit_config_first_watcher(&op); w; w = pykit_config_next_watcher(&op, w)) {
		pykit_config_features(vdev, w->by, op.cfg->begun[w->by] ?
				      PYKIT_OFFERED : PYKIT_FINALIZED);
		op.cfg->begun[w->by] = false;
	}
	pykit_config_op_end(&op);
	return err;
}

static int pykit_config_find_vqs(struct virtio_device *vdev, unsigned int count,
				 struct virtqueue *vqs[], const struct compat_vqs *wanted,
				 struct irq_affinity *affinity)
{
	struct pykit_op op = pykit_config_op_begin(vdev);
	int err = compat_transport_find_vqs(op.orig, vdev, count, vqs, wanted, affinity);
	const struct pykit_watcher *w;

	for (w = pykit_config_first_watcher(&op); w; w = pykit_config_next_watcher(&op, w))
		if (!err && w->found)
			w->found(vdev, count);
	pykit_config_op_end(&op);
	return err;
}

COMPAT_FIND_VQS_OP(pykit_config_find_vqs)

static void pykit_config_del_vqs(struct virtio_device *vdev)
{
	struct pykit_op op = pykit_config_op_begin(vdev);
	const struct pykit_watcher *w;

	for (w = pykit_config_first_watcher(&op); w; w = pykit_config_next_watcher(&op, w))
		if (w->deletes)
			w->deletes(vdev);
	op.orig->del_vqs(vdev);
	pykit_config_op_end(&op);
}

static int pykit_config_disable_vq(struct virtqueue *vq)
{
	struct pykit_op op = pykit_config_op_begin(vq->vdev);
	const struct pykit_watcher *w;
	int err;

	for (w = pykit_config_first_watcher(&op); w; w = pykit_config_next_watcher(&op, w))
		if (w->disables)
			w->disables(vq);
	err = op.orig->disable_vq_and_reset(vq);
	pykit_config_op_end(&op);
	return err;
}

static int pykit_config_enable_vq(struct virtqueue *vq)
{
	struct pykit_op op = pykit_config_op_begin(vq->vdev);
	int err = op.orig->enable_vq_after_reset(vq);
	const struct pykit_watcher *w;

	for (w = pykit_config_first_watcher(&op); w; w = pykit_config_next_watcher(&op, w))
		if (w->enabled)
			w->enabled(vq);
	pykit_config_op_end(&op);
	return err;
}

/* What is not interposed goes straight to the transport. */
static struct pykit_config *pykit_config_alloc(struct virtio_device *vdev)
{
	struct pykit_config *cfg = kzalloc(sizeof(*cfg), GFP_KERNEL);

	if (!cfg)
		return NULL;
	cfg->ops = *vdev->config;
	cfg->orig = vdev->config;
	if (cfg->ops.get)
		cfg->ops.get = pykit_config_get;
	if (cfg->ops.set)
		cfg->ops.set = pykit_config_set;
	if (cfg->ops.generation)
		cfg->ops.generation = pykit_config_generation;
	cfg->ops.get_status = pykit_config_get_status;
	cfg->ops.set_status = pykit_config_set_status;
	cfg->ops.reset = pykit_config_reset;
	cfg->ops.finalize_features = pykit_config_finalize_features;
	cfg->ops.find_vqs = pykit_config_find_vqs_op;
	cfg->ops.del_vqs = pykit_config_del_vqs;
	if (cfg->ops.disable_vq_and_reset)
		cfg->ops.disable_vq_and_reset = pykit_config_disable_vq;
	if (cfg->ops.enable_vq_after_reset)
		cfg->ops.enable_vq_after_reset = pykit_config_enable_vq;
	return cfg;
}

/**
 * pykit_config_watch() - start reporting a device's operations to a watcher
 * @vdev: the device
 * @watcher: the watcher, until pykit_config_unwatch()
 *
 * Return: 0 or -ENOMEM.
 */
int pykit_config_watch(struct virtio_device *vdev,
		       const struct pykit_watcher *watcher)
{
	struct pykit_config *cfg;

	mutex_lock(&pykit_config_lock);
	cfg = pykit_config_interposed(vdev->config) ?: pykit_config_alloc(vdev);
	if (cfg) {
		WRITE_ONCE(cfg->watchers[watcher->by], watcher);
		/* The copy is complete before it is pointed at. */
		smp_store_release(&vdev->config, &cfg->ops);
	}
	mutex_unlock(&pykit_config_lock);
	return cfg ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_GPL(pykit_config_watch);

/**
 * pykit_config_unwatch() - stop reporting a device's operations to a watcher
 * @vdev: the device
 * @by: the watcher to remove; may not be registered
 */
void pykit_config_unwatch(struct virtio_device *vdev, enum pykit_by by)
{
	struct pykit_config *cfg;
	bool watched, last;

	mutex_lock(&pykit_config_lock);
	cfg = pykit_config_interposed(vdev->config);
	watched = cfg && cfg->watchers[by];
	last = watched && !cfg->watchers[!by];
	if (watched)
		WRITE_ONCE(cfg->watchers[by], NULL);
	if (last)
		WRITE_ONCE(vdev->config, cfg->orig);
	mutex_unlock(&pykit_config_lock);
	/* A caller may still use the operations that the device pointed at. */
	if (last)
		synchronize_rcu_tasks();
	if (watched)
		synchronize_srcu(&pykit_config_srcu);
	if (last)
		kfree(cfg);
}
EXPORT_SYMBOL_GPL(pykit_config_unwatch);

/**
 * pykit_config_begin() - a driver is about to negotiate
 * @vdev: the device
 * @by: who has to hear of the first features
 */
void pykit_config_begin(struct virtio_device *vdev, enum pykit_by by)
{
	struct pykit_config *cfg = pykit_config_interposed(vdev->config);

	if (cfg)
		cfg->begun[by] = true;
}
EXPORT_SYMBOL_GPL(pykit_config_begin);
