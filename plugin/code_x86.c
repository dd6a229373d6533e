// SPDX-License-Identifier: GPL-2.0-only
/* x86's instructions. */
#include "code.h"

#include <string.h>

enum {
	OPCODE = 4,
	GS = 0x65, REX = 0x40, REX_MASK = 0xf0, REX_B = 0x01,
	/* The registers of an address: by a byte of its own, the stack's end. */
	BY_SIB = 4, STACK = 4,
};

/* An instruction: its first bytes behind its prefixes, zeroes where it has fewer. */
struct x86 {
	uint8_t byte[OPCODE];
	uint8_t rex;		/* that prefix, 0 where it has none */
	bool gs;		/* has the prefix of that segment */
};

static bool is_prefix(uint8_t byte)
{
	/* Only a few may stand before what is looked for. */
	return byte == GS || byte == 0x66 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3 ||
	       (byte & REX_MASK) == REX;
}

/* Whether an instruction makes the TLB forget: mov to a control register, invlpg, invpcid. */
static bool forgets(const uint8_t code[OPCODE])
{
	if (code[0] != 0x0f)
		return false;
	if (code[1] == 0x22)
		return true;
	if (code[1] == 0x01)
		return (code[2] & 0x38) == 0x38 && code[2] < 0xc0;
	return code[1] == 0x38 && code[2] == 0x82;
}

/* Where an instruction's ModRM byte is, of those that most accesses are made by; 0 for others. */
static size_t modrm_at(const uint8_t code[OPCODE])
{
	switch (code[0]) {
	case 0x00 ... 0x03: case 0x08 ... 0x0b: case 0x10 ... 0x13: case 0x18 ... 0x1b:
	case 0x20 ... 0x23: case 0x28 ... 0x2b: case 0x30 ... 0x33: case 0x38 ... 0x3b:
	case 0x63: case 0x69: case 0x6b: case 0x80 ... 0x8b: case 0x8f: case 0xc0: case 0xc1:
	case 0xc6: case 0xc7: case 0xd0 ... 0xd3: case 0xf6: case 0xf7: case 0xfe: case 0xff:
		return 1;
	case 0x0f:
		break;
	default:
		return 0;
	}
	switch (code[1]) {
	case 0x10: case 0x11: case 0x28: case 0x29: case 0x40 ... 0x4f: case 0x6f: case 0x7f:
	case 0x90 ... 0x9f: case 0xa3: case 0xab: case 0xaf ... 0xb1: case 0xb3: case 0xb6:
	case 0xb7: case 0xba: case 0xbb: case 0xbe: case 0xbf: case 0xc0: case 0xc1:
		return 2;
	default:
		return 0;
	}
}

/*
 * Whether it accesses the stack's end alone: a push or a pop of a register or of flags, a call, a
 * return. A third of all accesses, and of those none can be to a ring that anybody uses.
 */
static bool is_stack(const uint8_t code[OPCODE])
{
	switch (code[0]) {
	case 0x50 ... 0x5f:
	case 0x68:
	case 0x6a:
	case 0x9c:
	case 0x9d:
	case 0xc2:
	case 0xc3:
	case 0xe8:
		return true;
	default:
		return false;
	}
}

/*
 * Whether a kernel's instruction addresses what no ring can be in: a local of its function, by the
 * stack pointer, or what each CPU has of its own, by its segment. Code in the upper half of
 * addresses is 64 bits wide, and nothing else can be meant by these bytes.
 */
static bool is_own(uint64_t pc, const struct x86 *code)
{
	size_t at;

	if (!(pc >> 63))
		return false;
	if (code->gs)
		return true;
	at = modrm_at(code->byte);
	return at && code->byte[at] < 0xc0 && (code->byte[at] & 7) == BY_SIB &&
	       (code->byte[at + 1] & 7) == STACK && !(code->rex & REX_B);
}

/* Whether it is an out to a port. */
static bool writes_port(const uint8_t code[OPCODE])
{
	return (code[0] & 0xf6) == 0xe6;
}

struct code code_of_x86(const uint8_t *bytes, size_t size, uint64_t pc)
{
	struct x86 code = { 0 };
	size_t at = 0;

	for (; at < size && is_prefix(bytes[at]); at++) {
		code.gs |= bytes[at] == GS;
		code.rex = (bytes[at] & REX_MASK) == REX ? bytes[at] : 0;
	}
	memcpy(code.byte, bytes + at, size - at < OPCODE ? size - at : OPCODE);
	return (struct code){
		.forgets = forgets(code.byte),
		.misses_rings = is_stack(code.byte) || is_own(pc, &code),
		.writes_port = writes_port(code.byte),
	};
}
