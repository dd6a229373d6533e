/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tracer has to know of an instruction, by the architecture of the machine. */
#ifndef PYKIT_PLUGIN_CODE_H
#define PYKIT_PLUGIN_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CODE_BYTES = 16 };

struct code {
	/* After it an address may mean another page than before. */
	bool forgets;
	/* No access that it makes can be to a ring. */
	bool misses_rings;
	/* It writes to an I/O port. */
	bool writes_port;
};

/* Of so many bytes of an instruction at an address. */
typedef struct code (*code_reader_t)(const uint8_t *bytes, size_t size, uint64_t pc);

struct code code_of_x86(const uint8_t *bytes, size_t size, uint64_t pc);
struct code code_of_arm64(const uint8_t *bytes, size_t size, uint64_t pc);
struct code code_of_riscv64(const uint8_t *bytes, size_t size, uint64_t pc);

/* By QEMU's name of its target; NULL for one that is not known. */
code_reader_t code_choose(const char *target);

#endif /* PYKIT_PLUGIN_CODE_H */
