// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_mq_freeze_queue() returns allocation flags to be given back: 1e1a9cecfab3
 * ("block: force noio scope in blk_mq_freeze_queue"), v6.14.
 */
#include <linux/blk-mq.h>

void check(struct request_queue *q);

void check(struct request_queue *q)
{
	unsigned int flags = blk_mq_freeze_queue(q);

	blk_mq_unfreeze_queue(q, flags);
}
