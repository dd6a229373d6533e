// SPDX-License-Identifier: GPL-2.0-only
/*
 * The probe: traces what an unmodified virtio driver does, by the events of our
 * own driver.
 */
#include <linux/ctype.h>
#include <linux/module.h>

#include "pykit_probe.h"

#define MOST_CHOICES	16

/* Ids are 16 bits wide on PCI, the widest of any transport. */
#define LAST_ID		0xffff

static char *devices[MOST_CHOICES];
static int choices;
module_param_array(devices, charp, &choices, 0444);
MODULE_PARM_DESC(devices, "What to watch: drivers, names (virtio3) or ids (2); else all");

bool pykit_probe_canaries;
module_param_named(canaries, pykit_probe_canaries, bool, 0444);
MODULE_PARM_DESC(canaries, "Mark what disks are to write, and compare rings between operations");

static bool pykit_probe_is_choice(const char *text)
{
	const char *c;
	u32 id;

	if (isdigit(*text))
		return !kstrtou32(text, 0, &id) && id && id <= LAST_ID;
	for (c = text; *c; c++)
		if (!isalnum(*c) && *c != '_' && *c != '-')
			return false;
	return c > text;
}

static int pykit_probe_check_choices(void)
{
	int i;

	for (i = 0; i < choices; i++) {
		if (!pykit_probe_is_choice(devices[i])) {
			pr_err("%s: devices: \"%s\" is no driver, name (virtio3) or id (1 to %u)\n",
			       KBUILD_MODNAME, devices[i], LAST_ID);
			return -EINVAL;
		}
	}
	return 0;
}

static bool pykit_probe_chooses(const char *choice, const struct virtio_device *vdev)
{
	const struct device_driver *driver = vdev->dev.driver;
	const char *name = dev_name(&vdev->dev);
	u32 id;

	if (isdigit(*choice))
		return !kstrtou32(choice, 0, &id) && id == vdev->id.device;
	return (name && !strcmp(choice, name)) ||
	       (driver && !strcmp(choice, driver->name));
}

/**
 * pykit_probe_chosen() - whether to watch a device
 * @vdev: the device, as far as it is known yet
 *
 * Return: whether a parameter says so, or there is none.
 */
bool pykit_probe_chosen(const struct virtio_device *vdev)
{
	int i;

	for (i = 0; i < choices; i++)
		if (pykit_probe_chooses(devices[i], vdev))
			return true;
	return !choices;
}

static int __init pykit_probe_init(void)
{
	int err;

	err = pykit_probe_check_choices();
	if (err)
		return err;
	err = pykit_probe_device_init();
	if (err)
		return err;
	err = pykit_probe_queue_init() ?: pykit_hook_start();
	if (err) {
		pr_err("%s: the virtio core cannot be hooked: error %d\n",
		       KBUILD_MODNAME, err);
		pykit_probe_device_exit();
		return err;
	}
	pykit_probe_device_join();
	return 0;
}
module_init(pykit_probe_init);

static void __exit pykit_probe_exit(void)
{
	pykit_probe_queues_leave();
	/* Stop new calls first, then remove the last references to this module. */
	pykit_hook_stop();
	pykit_probe_device_leave();
	pykit_probe_queues_exit();
	pykit_probe_device_exit();
}
module_exit(pykit_probe_exit);

MODULE_DESCRIPTION("Watches unmodified virtio drivers");
MODULE_LICENSE("GPL");
