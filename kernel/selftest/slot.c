// SPDX-License-Identifier: GPL-2.0-only
/*
 * A transport of the machine's in which there is no device, for virtio-mmio's driver.
 *
 * Device trees list all transports, and the driver finds those that are empty. Where
 * the firmware lists those alone that have a device, it never does: here it gets one.
 */
#include <linux/err.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/sizes.h>

#include "slot.h"

static unsigned long slot;
module_param(slot, ulong, 0444);
MODULE_PARM_DESC(slot, "Address of a virtio-mmio transport to make a platform device of, or 0");

static struct platform_device *the_slot;

/**
 * selftest_slot_init() - show a transport to its driver, if the parameter names one
 *
 * Return: 0 or an error.
 */
int selftest_slot_init(void)
{
	const struct resource registers = DEFINE_RES_MEM(slot, SZ_512);

	if (!slot)
		return 0;
	/* Devices without another description go by the driver's name. */
	the_slot = platform_device_register_simple("virtio-mmio", 0, &registers, 1);
	return PTR_ERR_OR_ZERO(the_slot);
}

/**
 * selftest_slot_exit() - take it away
 */
void selftest_slot_exit(void)
{
	platform_device_unregister(the_slot);
}
