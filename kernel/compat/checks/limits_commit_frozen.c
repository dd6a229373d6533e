// SPDX-License-Identifier: GPL-2.0-only
/*
 * queue_limits_commit_update_frozen() freezes the queue itself: aa427d7b73b1
 * ("block: add a queue_limits_commit_update_frozen helper"), v6.14, and stable
 * kernels before it.
 */
#include <linux/blkdev.h>

int check(struct request_queue *q, struct queue_limits *lim);

int check(struct request_queue *q, struct queue_limits *lim)
{
	return queue_limits_commit_update_frozen(q, lim);
}
