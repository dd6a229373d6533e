// SPDX-License-Identifier: GPL-2.0-only
/*
 * getgeo() is asked of a disk: 4fc8728aa34f ("block: switch ->getgeo() to struct
 * gendisk"), v6.18.
 */
#include <linux/blkdev.h>
#include <linux/hdreg.h>

static int getgeo(struct gendisk *disk, struct hd_geometry *geo)
{
	return 0;
}

extern const struct block_device_operations check;

const struct block_device_operations check = {
	.getgeo = getgeo,
};
