/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls of the deliberate bugs in a module's fault.c. A build without FAULT=1 has no
 * fault.c: there the calls are checked by the compiler, and compiled away.
 */
#ifndef PYKIT_COMMON_FAULT_H
#define PYKIT_COMMON_FAULT_H

#include <linux/kconfig.h>

#define PYKIT_HAS_FAULTS	__is_defined(PYKIT_FAULT)

/* A function without a result. */
#define pykit_fault_call(call)						\
do {									\
	if (PYKIT_HAS_FAULTS)						\
		call;							\
} while (0)

/* The result of a function, or what it is where nothing goes wrong. */
#define pykit_fault_result(call, otherwise)				\
	(PYKIT_HAS_FAULTS ? (call) : (otherwise))

#endif /* PYKIT_COMMON_FAULT_H */
