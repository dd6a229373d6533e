// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trace the operations of a device's transport on behalf of the driver.
 *
 * The core has written ACKNOWLEDGE, DRIVER and a first set of features when it
 * first calls the driver, which is validate(). Every later operation is traced
 * until the device is unbound, after a failed probe too: stopping any earlier would
 * miss FAILED and the ACKNOWLEDGE after the last reset.
 */
#include <linux/device.h>

#include "pykit_blk.h"

/* The bus whose notifier is registered, NULL before the first device. */
static typeof_member(struct device, bus) pykit_bus;
static DEFINE_MUTEX(pykit_bus_lock);

static const struct pykit_watcher pykit_watcher = {
	.by		= PYKIT_BY_DRIVER,
	.status_write	= pykit_fault_result(pykit_blk_fault_status_write, NULL),
	.status_read	= pykit_fault_result(pykit_blk_fault_status_read, NULL),
};

static int pykit_blk_bus_notify(struct notifier_block *nb, unsigned long action,
				void *data)
{
	if (action == BUS_NOTIFY_UNBOUND_DRIVER ||
	    action == BUS_NOTIFY_DRIVER_NOT_BOUND)
		pykit_config_unwatch(dev_to_virtio((struct device *)data),
				     PYKIT_BY_DRIVER);
	return NOTIFY_DONE;
}

static struct notifier_block bus_nb = {
	.notifier_call = pykit_blk_bus_notify,
};

/* No device has been driven before the first is validated, nor the bus known. */
static int pykit_blk_watch_bus(struct virtio_device *vdev)
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
 * pykit_blk_config_interpose() - start tracing a device's operations
 * @vdev: the device, as it comes to validate()
 *
 * Traces the features on offer and those that the core has acknowledged.
 *
 * Return: 0 or -ENOMEM.
 */
int pykit_blk_config_interpose(struct virtio_device *vdev)
{
	int err = pykit_blk_watch_bus(vdev) ?: pykit_config_watch(vdev, &pykit_watcher);

	if (!err)
		pykit_config_features(vdev, PYKIT_BY_DRIVER, PYKIT_OFFERED);
	return err;
}

/**
 * pykit_blk_config_frozen() - trace the features that probe() finds
 * @vdev: the device
 */
void pykit_blk_config_frozen(struct virtio_device *vdev)
{
	pykit_config_features(vdev, PYKIT_BY_DRIVER, PYKIT_FROZEN);
}

/**
 * pykit_blk_config_exit() - the driver was unregistered
 */
void pykit_blk_config_exit(void)
{
	if (pykit_bus)
		bus_unregister_notifier(pykit_bus, &bus_nb);
}
