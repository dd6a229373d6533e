/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an ftrace callback does to a traced function, as the newest kernel has it.
 */
#ifndef PYKIT_COMPAT_FTRACE_H
#define PYKIT_COMPAT_FTRACE_H

#include <linux/ftrace.h>

/*
 * Renamed by 94d095ffa0e1 ("ftrace: abstract DYNAMIC_FTRACE_WITH_ARGS accesses"), v6.2. Where an
 * architecture saves all registers instead, as arm64 does in 6.1, both are empty macros.
 */
static __always_inline void compat_ftrace_set_ip(struct ftrace_regs *fregs, unsigned long ip)
{
#ifndef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
	instruction_pointer_set(ftrace_get_regs(fregs), ip);
#elif defined(PYKIT_HAVE_FTRACE_REGS_IP)
	ftrace_regs_set_instruction_pointer(fregs, ip);
#else
	ftrace_instruction_pointer_set(fregs, ip);
#endif
}

#endif /* PYKIT_COMPAT_FTRACE_H */
