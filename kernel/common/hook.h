/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions of the kernel's, redirected to functions of the module that is built with
 * hook.c.
 */
#ifndef PYKIT_HOOK_H
#define PYKIT_HOOK_H

#include <linux/percpu.h>
#include <linux/types.h>

/**
 * struct pykit_hook - a function of the kernel's, and what is called instead
 * @addr: address of the function
 * @instead: address of a function of this module of the same type, which calls
 *	the other
 */
struct pykit_hook {
	unsigned long addr;
	unsigned long instead;
};

#define PYKIT_HOOK(function, replacement)				\
	{ (unsigned long)(function), (unsigned long)(replacement) }

/* How often functions of this module were entered less how often left. */
DECLARE_PER_CPU(long, pykit_hook_inside);

/* All that is hooked begins with the one and ends with the other. */
static inline void pykit_hook_enter(void)
{
	this_cpu_inc(pykit_hook_inside);
}

static inline void pykit_hook_leave(void)
{
	this_cpu_dec(pykit_hook_inside);
}

int pykit_hook_add(const struct pykit_hook *hooks, unsigned int count);
int pykit_hook_start(void);
bool pykit_hook_calls(unsigned long caller, unsigned long callee);
void pykit_hook_stop(void);

#endif /* PYKIT_HOOK_H */
