// SPDX-License-Identifier: GPL-2.0-only
/*
 * The write cache is a feature in struct queue_limits: 1122c0c1cc71 ("block:
 * move cache control settings out of queue->flags"), v6.11. With it went the
 * last of the setters for single limits.
 */
#include <linux/blkdev.h>

void check(struct queue_limits *lim);

void check(struct queue_limits *lim)
{
	lim->features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_ROTATIONAL;
}
