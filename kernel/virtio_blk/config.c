// SPDX-License-Identifier: GPL-2.0-only
/*
 * The transport's operations, interposed to be seen.
 *
 * The core has written ACKNOWLEDGE, DRIVER and a first set of features when it
 * first calls the driver, which is validate(). All that comes after goes through
 * these operations, until the device is unbound, failed probe included: that is
 * when the original ones are put back, and not before, so that FAILED and the
 * ACKNOWLEDGE after the last reset are seen too.
 */
#include <linux/device.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "pykit_blk.h"

/**
 * struct pykit_config - operations of one device, interposed
 * @ops: what the device points at meanwhile
 * @orig: what it pointed at
 * @offered: features on offer
 * @driver: features of the driver
 */
struct pykit_config {
	struct virtio_config_ops ops;
	const struct virtio_config_ops *orig;
	u64 offered;
	u64 driver;
};

/* The bus whose notifier is registered, NULL before the first device. */
static typeof_member(struct device, bus) pykit_bus;
static DEFINE_MUTEX(pykit_bus_lock);

static u8 pykit_get_status(struct virtio_device *vdev);

static struct pykit_config *interposed(const struct virtio_config_ops *ops)
{
	if (ops->get_status != pykit_get_status)
		return NULL;
	return container_of(ops, struct pykit_config, ops);
}

/* Somebody may read the status in sysfs while the operations are put back. */
static const struct virtio_config_ops *original(struct virtio_device *vdev)
{
	const struct virtio_config_ops *ops = READ_ONCE(vdev->config);
	struct pykit_config *cfg = interposed(ops);

	return cfg ? cfg->orig : ops;
}

static void trace_config(struct virtio_device *vdev, unsigned int offset,
			 const void *buf, unsigned int len, u8 write)
{
	__le64 value = 0;

	memcpy(&value, buf, min_t(size_t, len, sizeof(value)));
	trace_pykit_config(vdev->index, PYKIT_BY_DRIVER, le64_to_cpu(value),
			   offset, len, write);
}

static void pykit_get(struct virtio_device *vdev, unsigned int offset,
		      void *buf, unsigned int len)
{
	original(vdev)->get(vdev, offset, buf, len);
	trace_config(vdev, offset, buf, len, 0);
}

static void pykit_set(struct virtio_device *vdev, unsigned int offset,
		      const void *buf, unsigned int len)
{
	trace_config(vdev, offset, buf, len, 1);
	original(vdev)->set(vdev, offset, buf, len);
}

static u32 pykit_generation(struct virtio_device *vdev)
{
	u32 generation = original(vdev)->generation(vdev);

	trace_pykit_generation(vdev->index, PYKIT_BY_DRIVER, generation);
	return generation;
}

static u8 pykit_get_status(struct virtio_device *vdev)
{
	u8 status = original(vdev)->get_status(vdev);

	trace_pykit_status(vdev->index, PYKIT_BY_DRIVER, status, 1);
	return pykit_fault_status_read(status);
}

static void pykit_set_status(struct virtio_device *vdev, u8 status)
{
	u8 wanted = pykit_fault_status_write(status);

	if (wanted != status && original(vdev)->get_status(vdev) == wanted)
		return;
	trace_pykit_status(vdev->index, PYKIT_BY_DRIVER, wanted, 0);
	original(vdev)->set_status(vdev, wanted);
}

static void pykit_reset(struct virtio_device *vdev)
{
	trace_pykit_status(vdev->index, PYKIT_BY_DRIVER, 0, 2);
	original(vdev)->reset(vdev);
}

static void trace_features(struct virtio_device *vdev, u8 stage)
{
	struct pykit_config *cfg = interposed(vdev->config);
	u64 transport = GENMASK_ULL(VIRTIO_TRANSPORT_F_END - 1,
				    VIRTIO_TRANSPORT_F_START);

	/* Of the transport's features the core decides. */
	trace_pykit_features(vdev->index, PYKIT_BY_DRIVER, cfg->offered,
			     cfg->driver | (vdev->features & transport),
			     vdev->features, stage);
}

static int pykit_finalize_features(struct virtio_device *vdev)
{
	int err = original(vdev)->finalize_features(vdev);

	trace_features(vdev, 1);
	return err;
}

static void put_back(struct virtio_device *vdev)
{
	struct pykit_config *cfg = interposed(vdev->config);

	if (!cfg)
		return;
	WRITE_ONCE(vdev->config, cfg->orig);
	/* For the reader in sysfs; see original(). */
	synchronize_rcu();
	kfree(cfg);
}

static int bus_notify(struct notifier_block *nb, unsigned long action,
		      void *data)
{
	if (action == BUS_NOTIFY_UNBOUND_DRIVER ||
	    action == BUS_NOTIFY_DRIVER_NOT_BOUND)
		put_back(dev_to_virtio((struct device *)data));
	return NOTIFY_DONE;
}

static struct notifier_block bus_nb = {
	.notifier_call = bus_notify,
};

/* No device has been driven before the first is validated, nor the bus known. */
static int watch_bus(struct virtio_device *vdev)
{
	int err = 0;

	mutex_lock(&pykit_bus_lock);
	if (!pykit_bus) {
		err = bus_register_notifier(vdev->dev.bus, &bus_nb);
		if (!err)
			pykit_bus = vdev->dev.bus;
	}
	mutex_unlock(&pykit_bus_lock);
	return err;
}

/**
 * pykit_config_offered() - what the device offers
 * @vdev: the device
 *
 * Return: its first 64 features; a block device has no others.
 */
u64 pykit_config_offered(struct virtio_device *vdev)
{
#ifdef PYKIT_HAVE_GET_FEATURES
	u64 features[VIRTIO_FEATURES_U64S];

	virtio_get_features(vdev, features);
	return features[0];
#else
	return vdev->config->get_features(vdev);
#endif
}

/**
 * pykit_config_interpose() - from now on, see what is done to a device
 * @vdev: the device, as it comes to validate()
 *
 * Traces the features on offer and those that the core has acknowledged.
 *
 * Return: 0 or -ENOMEM.
 */
int pykit_config_interpose(struct virtio_device *vdev)
{
	struct virtio_driver *drv = drv_to_virtio(vdev->dev.driver);
	struct pykit_config *cfg;
	unsigned int i;
	int err;

	err = watch_bus(vdev);
	if (err)
		return err;
	cfg = kzalloc(sizeof(*cfg), GFP_KERNEL);
	if (!cfg)
		return -ENOMEM;

	/* What is not interposed goes straight to the transport. */
	cfg->ops = *vdev->config;
	cfg->orig = vdev->config;
	if (cfg->ops.get)
		cfg->ops.get = pykit_get;
	if (cfg->ops.set)
		cfg->ops.set = pykit_set;
	if (cfg->ops.generation)
		cfg->ops.generation = pykit_generation;
	cfg->ops.get_status = pykit_get_status;
	cfg->ops.set_status = pykit_set_status;
	cfg->ops.reset = pykit_reset;
	cfg->ops.finalize_features = pykit_finalize_features;

	cfg->offered = pykit_config_offered(vdev);
	for (i = 0; i < drv->feature_table_size; i++)
		cfg->driver |= BIT_ULL(drv->feature_table[i]);
	WRITE_ONCE(vdev->config, &cfg->ops);
	trace_features(vdev, 0);
	return 0;
}

/**
 * pykit_config_frozen() - trace the features that probe() finds
 * @vdev: the device
 */
void pykit_config_frozen(struct virtio_device *vdev)
{
	trace_features(vdev, 2);
}

/**
 * pykit_config_exit() - the driver was unregistered
 */
void pykit_config_exit(void)
{
	if (pykit_bus)
		bus_unregister_notifier(pykit_bus, &bus_nb);
}
