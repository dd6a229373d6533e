// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtio knows zones, 95bfec41bd3d ("virtio-blk: add support for zoned block
 * devices"), v6.3, and the block layer takes what it has to know of them as
 * limits, b1fc937a55f5 ("block: move the zoned flag into the features field"),
 * v6.11.
 */
#include <linux/blkdev.h>
#include <linux/virtio_blk.h>

void check(struct queue_limits *lim, struct virtio_blk_config *config);

void check(struct queue_limits *lim, struct virtio_blk_config *config)
{
	if (config->zoned.model == VIRTIO_BLK_Z_HM)
		lim->features |= BLK_FEAT_ZONED;
}
