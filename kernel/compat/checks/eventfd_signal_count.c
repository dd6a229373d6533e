// SPDX-License-Identifier: GPL-2.0-only
/*
 * eventfd_signal() takes a count: until 3652117f8548 ("eventfd: simplify
 * eventfd_signal()"), v6.8.
 */
#include <linux/eventfd.h>

void check(struct eventfd_ctx *ctx);

void check(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}
