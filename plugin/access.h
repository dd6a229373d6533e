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
	/*
	 * A queue at its set-up, by its descriptors' address; first: used_event; value: the first
	 * two fields of its available ring, then those of its used ring (packed: of the driver's
	 * and of the device's event suppression).
	 */
	RECORD_QUEUE,
	/*
	 * A chain was made available in the queue of that address; value: its head (packed: its
	 * buffer id), then the available index behind it (packed: slot and wrap counter).
	 */
	RECORD_CHAIN,
	/*
	 * One of its descriptors, which is first and second; value: the chain's head, then the
	 * place in the chain.
	 */
	RECORD_DESC,
	RECORD_HEADER,		/* first and second: the first bytes, size, that it sends */
	/*
	 * The driver can see this used entry, which is value (packed: the upper half of the used
	 * descriptor); first: its index (packed: slot and wrap counter), second: the last byte that
	 * the device may have written, with 0x100 where there is one.
	 */
	RECORD_USED,
};

enum record_flags {
	RECORD_WRITE = 1,
	RECORD_VALUE = 2,	/* the value is known */
	RECORD_EXACT = 4,	/* it is the CPU's, and not what stood in memory right after */
};

struct record {
	union {
		struct {
			uint64_t ts;		/* ns, the host's wall clock */
			union {
				uint64_t insns;	/* instructions that came before */
				uint64_t first;
			};
			union {
				uint64_t pc;
				uint64_t second;
			};
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

/* A virtqueue, as QEMU has it: guest-physical addresses. */
struct queue_place {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint32_t size;		/* entries */
	bool packed;
};

/* record.c */
bool record_open(const char *path);
void record_put(const struct record *record);
void record_flush(void);
uint32_t record_region(const char *name);

/* memory.c */
bool memory_map(const char *path, uint64_t base);
bool memory_value(uint64_t address, unsigned int size, uint64_t *value);

/* chains.c */
void chains_begin(void);
bool chains_keep(const struct queue_place *place);
void chains_end(uint64_t ts, uint8_t cpu);
void chains_accessed(const struct record *access);

/* log.c */
bool log_follow(const char *path);
bool log_shows_status(void);

/* rings.c */
bool rings_connect(const char *path);
bool rings_ask(uint64_t register_address);
bool rings_all_known(void);
bool rings_on_page(uint64_t address);
bool rings_hold(uint64_t address);

#endif /* PYKIT_PLUGIN_ACCESS_H */
