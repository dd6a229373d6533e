// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_rq_map_sg() takes the queue, until 75618ac6e98f ("block: remove unused
 * parameter 'q' parameter in __blk_rq_map_sg()"), v6.15.
 */
#include <linux/blk-mq.h>

int check(struct request_queue *q, struct request *rq, struct scatterlist *sg);

int check(struct request_queue *q, struct request *rq, struct scatterlist *sg)
{
	return blk_rq_map_sg(q, rq, sg);
}
