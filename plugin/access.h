/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tracer's files share. pykit/trace/access.py reads what is written. */
#ifndef PYKIT_PLUGIN_ACCESS_H
#define PYKIT_PLUGIN_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

enum record_kind {
	RECORD_RING,		/* an access to ring memory */
	RECORD_REGISTER,	/* an access to a register of a virtio device */
	RECORD_RINGS,		/* the controller's next answer holds from here on */
	RECORD_LOST,		/* value: how many accesses are missing, at least */
	RECORD_REGION,		/* a memory region's name, and the number that stands for it */
};

enum record_flags {
	RECORD_WRITE = 1,
	RECORD_VALUE = 2,	/* the value is known */
};

struct record {
	union {
		struct {
			uint64_t ts;		/* ns, the host's wall clock */
			uint64_t insns;		/* instructions that came before */
			uint64_t pc;
			uint64_t address;	/* guest-physical */
			uint64_t value;
		};
		char name[40];
	};
	uint8_t kind;
	uint8_t cpu;
	uint8_t size;		/* bytes */
	uint8_t flags;		/* of enum record_flags */
	uint32_t region;	/* of a register */
};

/* record.c */
bool record_open(const char *path);
void record_put(const struct record *record);
void record_flush(void);
uint32_t record_region(const char *name);

/* memory.c */
bool memory_map(const char *path);
bool memory_value(uint64_t address, unsigned int size, uint64_t *value);

/* log.c */
bool log_follow(const char *path);
bool log_shows_status(void);

/* rings.c */
bool rings_connect(const char *path);
bool rings_ask(uint64_t status_register);
bool rings_all_known(void);
bool rings_on_page(uint64_t address);
bool rings_hold(uint64_t address);

#endif /* PYKIT_PLUGIN_ACCESS_H */
