// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: drivers that come and go.
 *
 * A device is watched from before its first reset, where it was not chosen by
 * driver or name: those are known only when a driver is bound. One that was there
 * before the probe is watched from then on.
 */
#include <linux/device.h>
#include <linux/module.h>

#include "../compat/virtio.h"
#include "pykit_probe.h"

/* Knows the bus, and matches no device. */
static const struct virtio_device_id no_ids[] = { { 0 } };
static struct virtio_driver knows_bus = {
	.driver.name	= KBUILD_MODNAME,
	/* Before register_virtio_driver() saw to it, it was the driver's part. */
	.driver.owner	= THIS_MODULE,
	.id_table	= no_ids,
};

static const struct pykit_watcher watcher = {
	.by		= PYKIT_BY_PROBE,
	.frozen		= true,
	.found		= pykit_probe_queues_found,
	.deletes	= pykit_probe_queues_deleted,
	.disables	= pykit_probe_queue_disabled,
	.enabled	= pykit_probe_queue_enabled,
};

static bool pykit_probe_watch_device(struct virtio_device *vdev)
{
	int err;

	if (!pykit_probe_chosen(vdev)) {
		pykit_config_unwatch(vdev, PYKIT_BY_PROBE);
		return false;
	}
	err = pykit_config_watch(vdev, &watcher);
	if (err)
		dev_err(&vdev->dev, "cannot be watched: error %d\n", err);
	return !err;
}

static void pykit_probe_trace_stage(struct virtio_device *vdev, enum pykit_stage stage,
				    int err)
{
	trace_pykit_driver(vdev->index, PYKIT_BY_PROBE, vdev->id.device, err,
			   stage);
}

static int pykit_probe_register_device(struct virtio_device *vdev)
{
	int err;

	pykit_hook_enter();
	pykit_probe_watch_device(vdev);
	err = register_virtio_device(vdev);
	if (err)
		pykit_config_unwatch(vdev, PYKIT_BY_PROBE);
	pykit_hook_leave();
	return err;
}

static int pykit_probe_bind(struct device *dev)
{
	struct virtio_device *vdev = dev_to_virtio(dev);
	bool watched;
	int err;

	pykit_hook_enter();
	watched = pykit_probe_watch_device(vdev);
	if (watched) {
		pykit_probe_trace_stage(vdev, PYKIT_STAGE_BEGIN, 0);
		pykit_config_begin(vdev, PYKIT_BY_PROBE);
	}
	err = knows_bus.driver.bus->probe(dev);
	if (watched)
		pykit_probe_trace_stage(vdev, err ? PYKIT_STAGE_FAILED : PYKIT_STAGE_PROBED,
					err);
	pykit_hook_leave();
	return err;
}

static void pykit_probe_unbind(struct device *dev)
{
	struct virtio_device *vdev = dev_to_virtio(dev);
	bool watched;

	pykit_hook_enter();
	watched = pykit_probe_chosen(vdev);
	if (watched)
		pykit_probe_trace_stage(vdev, PYKIT_STAGE_REMOVE, 0);
	knows_bus.driver.bus->remove(dev);
	if (watched)
		pykit_probe_trace_stage(vdev, PYKIT_STAGE_REMOVED, 0);
	pykit_hook_leave();
}

static int pykit_probe_freeze(struct virtio_device *vdev)
{
	int err;

	pykit_hook_enter();
	if (vdev->dev.driver && pykit_probe_chosen(vdev))
		pykit_probe_trace_stage(vdev, PYKIT_STAGE_FREEZE, 0);
	err = compat_device_freeze(vdev);
	pykit_hook_leave();
	return err;
}

static int pykit_probe_restore(struct virtio_device *vdev)
{
	int err;

	pykit_hook_enter();
	err = compat_device_restore(vdev);
	if (vdev->dev.driver && pykit_probe_chosen(vdev))
		pykit_probe_trace_stage(vdev, PYKIT_STAGE_RESTORE, err);
	pykit_hook_leave();
	return err;
}

/* Trace no status: an interrupt handler may not read it on every transport. */
static void pykit_probe_config_changed(struct virtio_device *vdev)
{
	pykit_hook_enter();
	if (vdev->dev.driver && pykit_probe_chosen(vdev))
		trace_pykit_config_change(vdev->index, PYKIT_BY_PROBE, 0);
	virtio_config_changed(vdev);
	pykit_hook_leave();
}

static int pykit_probe_bus_notify(struct notifier_block *nb, unsigned long action,
				  void *data)
{
	if (action == BUS_NOTIFY_REMOVED_DEVICE)
		pykit_config_unwatch(dev_to_virtio((struct device *)data),
				     PYKIT_BY_PROBE);
	return NOTIFY_DONE;
}

static struct notifier_block bus_nb = {
	.notifier_call = pykit_probe_bus_notify,
};

static int pykit_probe_join_device(struct device *dev, void *data)
{
	struct virtio_device *vdev = dev_to_virtio(dev);

	device_lock(dev);
	if (pykit_probe_watch_device(vdev) && dev->driver) {
		pykit_probe_trace_stage(vdev, PYKIT_STAGE_JOINED, 0);
		pykit_config_features(vdev, PYKIT_BY_PROBE, PYKIT_FROZEN);
		pykit_probe_queues_join(vdev);
	}
	device_unlock(dev);
	return 0;
}

static int pykit_probe_leave_device(struct device *dev, void *data)
{
	pykit_config_unwatch(dev_to_virtio(dev), PYKIT_BY_PROBE);
	return 0;
}

/**
 * pykit_probe_device_init() - know the bus, and note what to hook
 *
 * Return: 0 or an error.
 */
int pykit_probe_device_init(void)
{
	int err = register_virtio_driver(&knows_bus);

	if (err)
		return err;
	err = bus_register_notifier(knows_bus.driver.bus, &bus_nb);
	if (!err) {
		const struct pykit_hook hooks[] = {
			PYKIT_HOOK(register_virtio_device, pykit_probe_register_device),
			PYKIT_HOOK(knows_bus.driver.bus->probe, pykit_probe_bind),
			PYKIT_HOOK(knows_bus.driver.bus->remove, pykit_probe_unbind),
			PYKIT_HOOK(COMPAT_DEVICE_FREEZE, pykit_probe_freeze),
			PYKIT_HOOK(COMPAT_DEVICE_RESTORE, pykit_probe_restore),
			PYKIT_HOOK(virtio_config_changed, pykit_probe_config_changed),
		};

		err = pykit_hook_add(hooks, ARRAY_SIZE(hooks));
		if (err)
			bus_unregister_notifier(knows_bus.driver.bus, &bus_nb);
	}
	if (err)
		unregister_virtio_driver(&knows_bus);
	return err;
}

/**
 * pykit_probe_device_join() - watch the devices that are there already
 */
void pykit_probe_device_join(void)
{
	bus_for_each_dev(knows_bus.driver.bus, NULL, NULL, pykit_probe_join_device);
}

/**
 * pykit_probe_device_leave() - watch no device any more
 */
void pykit_probe_device_leave(void)
{
	bus_for_each_dev(knows_bus.driver.bus, NULL, NULL, pykit_probe_leave_device);
}

/**
 * pykit_probe_device_exit() - forget the bus
 */
void pykit_probe_device_exit(void)
{
	bus_unregister_notifier(knows_bus.driver.bus, &bus_nb);
	unregister_virtio_driver(&knows_bus);
}
