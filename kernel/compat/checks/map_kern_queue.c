// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_rq_map_kern() takes the queue, until af78428ed3f3 ("block: remove the q
 * argument from blk_rq_map_kern"), v6.16.
 */
#include <linux/blk-mq.h>

int check(struct request_queue *q, struct request *rq, void *buf);

int check(struct request_queue *q, struct request *rq, void *buf)
{
	return blk_rq_map_kern(q, rq, buf, 20, GFP_KERNEL);
}
