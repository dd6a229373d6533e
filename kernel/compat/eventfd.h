/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signalling an eventfd, as the newest kernel has it.
 */
#ifndef PYKIT_COMPAT_EVENTFD_H
#define PYKIT_COMPAT_EVENTFD_H

#include <linux/eventfd.h>

/*
 * eventfd_signal() lost its count, which was always 1, and became an inline function
 * around eventfd_signal_mask(): 3652117f8548 ("eventfd: simplify eventfd_signal()"), v6.8.
 * COMPAT_EVENTFD_SIGNALS is the function that every signal passes through.
 */
#ifdef PYKIT_HAVE_EVENTFD_SIGNAL_COUNT
#define COMPAT_EVENTFD_SIGNALS	((unsigned long)eventfd_signal)

static inline void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}
#else
#define COMPAT_EVENTFD_SIGNALS	((unsigned long)eventfd_signal_mask)

static inline void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx);
}
#endif

#endif /* PYKIT_COMPAT_EVENTFD_H */
