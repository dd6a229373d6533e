// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a traced function goes on is set by ftrace_regs_set_instruction_pointer()
 * since 94d095ffa0e1 ("ftrace: abstract DYNAMIC_FTRACE_WITH_ARGS accesses"), v6.2;
 * before by ftrace_instruction_pointer_set().
 */
#include <linux/ftrace.h>

void check(struct ftrace_regs *fregs, unsigned long ip);

void check(struct ftrace_regs *fregs, unsigned long ip)
{
	ftrace_regs_set_instruction_pointer(fregs, ip);
}
