// SPDX-License-Identifier: GPL-2.0-only
/*
 * queue_rqs() gets a struct rq_list: a3396b99990d ("block: add a rq_list type"),
 * v6.13, and stable kernels before it. Before 217b613a53d3 ("blk-mq: update
 * driver tags request table when start request"), v6.7, the driver entered the
 * requests of its list into the table of tags; until the new type it does no harm.
 */
#include <linux/blk-mq.h>

void check(struct blk_mq_ops *ops, void (*queue_rqs)(struct rq_list *list));

void check(struct blk_mq_ops *ops, void (*queue_rqs)(struct rq_list *list))
{
	ops->queue_rqs = queue_rqs;
}
