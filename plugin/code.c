// SPDX-License-Identifier: GPL-2.0-only
/* Which machines are traced, and instructions of arm64 and riscv64. */
#include "code.h"

#include <string.h>

enum { WORD = 4 };

static uint32_t word(const uint8_t *bytes)
{
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/*
 * System instructions and registers, as op0, op1, CRn, CRm and op2 (Arm ARM, C5.1): tlbi; writes to
 * SCTLR, TTBR and TCR; and whatever code of EL2 or EL3 does with its own registers: it has
 * translations of its own, and cannot come or go without.
 */
struct code code_of_arm64(const uint8_t *bytes, size_t size, uint64_t pc)
{
	uint32_t code = size == WORD ? word(bytes) : 0;
	unsigned int op0 = code >> 19 & 3, op1 = code >> 16 & 7, crn = code >> 12 & 15;
	bool load = code >> 21 & 1;

	(void)pc;
	if (code >> 22 != 0x354)
		return (struct code){ 0 };
	if (op0 == 1)
		return (struct code){ .forgets = crn == 8 };
	return (struct code){
		.forgets = op0 == 3 && (op1 >= 4 || (!load && (crn == 1 || crn == 2))),
	};
}

/*
 * System instructions (RISC-V ISA, volume II): the fences of translations with their forms for
 * hypervisors and for single pages; writes to satp, vsatp and hgatp; mret and whatever reaches a
 * register of machine mode, whose code has no translations and cannot come or go without.
 */
struct code code_of_riscv64(const uint8_t *bytes, size_t size, uint64_t pc)
{
	uint32_t code = size == WORD ? word(bytes) : 0;
	unsigned int how = code >> 12 & 7, what = code >> 25, csr = code >> 20;
	/* csrrs and csrrc write nothing where their source is register or value 0. */
	bool writes = (how & 3) == 1 || (code >> 15 & 31);

	(void)pc;
	if ((code & 0x7f) != 0x73)
		return (struct code){ 0 };
	if (how == 0)
		return (struct code){
			.forgets = csr == 0x302 || what == 0x09 || what == 0x0b ||
				   what == 0x11 || what == 0x13 || what == 0x31 || what == 0x33,
		};
	return (struct code){
		.forgets = (csr >> 8 & 3) == 3 ||
			   (writes && (csr == 0x180 || csr == 0x280 || csr == 0x680)),
	};
}

code_reader_t code_choose(const char *target)
{
	if (!strcmp(target, "x86_64"))
		return code_of_x86;
	if (!strcmp(target, "aarch64"))
		return code_of_arm64;
	if (!strcmp(target, "riscv64"))
		return code_of_riscv64;
	return NULL;
}
