// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the hardware can append is a limit of its own: 559218d43ec9 ("block:
 * pre-calculate max_zone_append_sectors"), v6.13.
 */
#include <linux/blkdev.h>

void check(struct queue_limits *lim);

void check(struct queue_limits *lim)
{
	lim->max_hw_zone_append_sectors = 8;
}
