/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages about requests that were refused. A process with the device open can repeat a
 * request, so each module logs only a few in a while.
 */
#ifndef PYKIT_REFUSAL_H
#define PYKIT_REFUSAL_H

#include <linux/device.h>
#include <linux/ratelimit.h>

static DEFINE_RATELIMIT_STATE(pykit_refusals, DEFAULT_RATELIMIT_INTERVAL,
			      DEFAULT_RATELIMIT_BURST);

#define pykit_log_refusal(dev, ...)					\
do {									\
	if (__ratelimit(&pykit_refusals))				\
		dev_notice(dev, __VA_ARGS__);				\
} while (0)

#endif /* PYKIT_REFUSAL_H */
