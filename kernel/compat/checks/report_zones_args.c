// SPDX-License-Identifier: GPL-2.0-only
/*
 * Zones are reported by disk_report_zone(): fdb9aed869f3 ("block: introduce
 * disk_report_zone()"), v6.19.
 */
#include <linux/blkdev.h>

int check(struct gendisk *disk, struct blk_zone *zone,
	  struct blk_report_zones_args *args);

int check(struct gendisk *disk, struct blk_zone *zone,
	  struct blk_report_zones_args *args)
{
	return disk_report_zone(disk, zone, 0, args);
}
