// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel functions, redirected to functions of this module.
 *
 * ftrace calls pykit_hook_redirect() at the entry of each hooked function, as for
 * live patches, which continues in the replacement. The replacement calls the
 * original: calls from within this module are not redirected. Both sides of a call
 * can so be traced in plain C, in the order in which they happen, and no call is
 * missed: unlike kprobes, this works whatever else the CPU is in the middle of.
 */
#include <linux/bsearch.h>
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "../compat/ftrace.h"
#include "hook.h"

#define MOST_HOOKS	64

/* Between a function's address and where ftrace is called: at most an endbr. */
#define ENTRY_BYTES	8

/* A direct call of x86, and how far to look for one. */
#define CALL		0xe8
#define CALL_BYTES	5
#define CALLER_BYTES	128

DEFINE_PER_CPU(long, pykit_hook_inside);

/* By address, from when the first function is hooked. */
static struct pykit_hook table[MOST_HOOKS];
static unsigned int hooked;

static int pykit_hook_compare_hooks(const void *a, const void *b)
{
	const struct pykit_hook *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int notrace pykit_hook_compare_ip(const void *ip, const void *hook)
{
	unsigned long addr = ((const struct pykit_hook *)hook)->addr;
	unsigned long at = *(const unsigned long *)ip;

	if (at < addr)
		return -1;
	return at - addr > ENTRY_BYTES;
}

static void notrace pykit_hook_redirect(unsigned long ip, unsigned long parent_ip,
					struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	const struct pykit_hook *hook;

	if (within_module_core(parent_ip, THIS_MODULE))
		return;
	hook = __inline_bsearch(&ip, table, hooked, sizeof(*table), pykit_hook_compare_ip);
	if (!hook)
		return;
	compat_ftrace_set_ip(fregs, hook->instead);
}

static struct ftrace_ops ops = {
	.func	= pykit_hook_redirect,
	.flags	= FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_RECURSION |
		  (IS_ENABLED(CONFIG_DYNAMIC_FTRACE_WITH_ARGS) ?
		   0 : FTRACE_OPS_FL_SAVE_REGS),
};

/**
 * pykit_hook_add() - note functions to hook
 * @hooks: functions of the kernel's; those without an address are left out
 * @count: how many
 *
 * Return: 0, -ENOSPC if there are too many.
 */
int pykit_hook_add(const struct pykit_hook *hooks, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (!hooks[i].addr)
			continue;
		if (hooked == MOST_HOOKS)
			return -ENOSPC;
		table[hooked++] = hooks[i];
	}
	return 0;
}

/* Two comparisons of bsearch()'s: the second is to be called for the first. */
static noinline int pykit_hook_differs(const void *key, const void *element)
{
	return key == element ? 1 : -1;
}

static noinline int pykit_hook_equals(const void *key, const void *element)
{
	return key == element ? 0 : -1;
}

/*
 * Whether a hooked function's call arrives at its replacement. An architecture may have ftrace
 * call us and take no notice of where we want it to go on. bsearch() is not of this module, whose
 * own calls are not redirected.
 */
static bool pykit_hook_works(void)
{
	return bsearch(table, table, 1, sizeof(*table), pykit_hook_differs);
}

/**
 * pykit_hook_start() - have what was noted called from now on
 *
 * Return: 0, -EINVAL if a function cannot be hooked, -EBUSY if a live patch or
 * another user of IPMODIFY was there before, -EOPNOTSUPP if calls are not redirected
 * all the same, -ENOSPC, -ENOMEM.
 */
int pykit_hook_start(void)
{
	const struct pykit_hook check = PYKIT_HOOK(pykit_hook_differs, pykit_hook_equals);
	unsigned long addrs[MOST_HOOKS];
	unsigned int i;
	int err;

	err = pykit_hook_add(&check, 1);
	if (err)
		return err;
	sort(table, hooked, sizeof(*table), pykit_hook_compare_hooks, NULL);
	for (i = 0; i < hooked; i++)
		addrs[i] = table[i].addr;
	err = ftrace_set_filter_ips(&ops, addrs, hooked, 0, 1);
	if (!err)
		err = register_ftrace_function(&ops);
	if (err) {
		ftrace_free_filter(&ops);
		return err;
	}
	if (!pykit_hook_works()) {
		pr_err("%s: ftrace does not redirect calls on this kernel\n", KBUILD_MODNAME);
		pykit_hook_stop();
		return -EOPNOTSUPP;
	}
	return 0;
}

/**
 * pykit_hook_calls() - whether a function calls another, or has it inlined
 * @caller: address of a short function, the only one that calls the other
 * @callee: address of the other
 *
 * Return: true also where it cannot be known.
 */
bool pykit_hook_calls(unsigned long caller, unsigned long callee)
{
	u8 code[CALLER_BYTES];
	unsigned int i;

	if (!IS_ENABLED(CONFIG_X86) ||
	    copy_from_kernel_nofault(code, (void *)caller, sizeof(code)))
		return true;
	for (i = 0; i + CALL_BYTES <= sizeof(code); i++) {
		s32 distance;

		memcpy(&distance, code + i + 1, sizeof(distance));
		/* A call may leave the endbr out. */
		if (code[i] == CALL &&
		    caller + i + CALL_BYTES + distance - callee <= ENTRY_BYTES)
			return true;
	}
	return false;
}

static long pykit_hook_sum_inside(void)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(pykit_hook_inside, cpu);
	return sum;
}

/**
 * pykit_hook_stop() - have nothing called any more, and wait for what was
 *
 * Afterwards no task is inside any function that was hooked: one that was led
 * there has entered it, for ftrace waits for every task that did not sleep of its
 * own accord since; then those inside are counted; and the last steps out of it
 * are over when every task has slept, and every interrupt returned, once more.
 */
void pykit_hook_stop(void)
{
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
	while (pykit_hook_sum_inside())
		msleep(20);
	synchronize_rcu_tasks();
	synchronize_rcu();
}
