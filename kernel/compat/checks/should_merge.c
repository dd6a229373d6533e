// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tag sets ask for merging by a flag, until cc76ace465d6 ("block: remove
 * BLK_MQ_F_SHOULD_MERGE"), v6.14, made it a matter of course.
 */
#include <linux/blk-mq.h>

void check(struct blk_mq_tag_set *set);

void check(struct blk_mq_tag_set *set)
{
	set->flags = BLK_MQ_F_SHOULD_MERGE;
}
