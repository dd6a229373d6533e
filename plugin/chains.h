/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files share that follow the chains of a queue. */
#ifndef PYKIT_PLUGIN_CHAINS_H
#define PYKIT_PLUGIN_CHAINS_H

#include "access.h"

enum {
	DESC_BYTES = 16,
	F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4,
	/* Of a packed descriptor. */
	F_AVAIL = 1 << 7, F_USED = 1 << 15,
	/* In front of a slot of a packed ring: its wrap counter. */
	WRAP = 1 << 15,
	/* The longest table that is read. */
	TABLE = 1 << 15,
	/* In front of a byte that was found. */
	FOUND = 1 << 8,
};

/* Of a list of a packed ring, by its buffer id; no slots: none of that id is outstanding. */
struct list {
	uint16_t slots;
	/* The last buffer that the device writes. */
	uint64_t address;
	uint32_t length;
};

struct queue {
	struct queue_place place;
	/* In this answer, and not in the one before. */
	bool kept;
	bool fresh;
	/*
	 * How far both sides have been looked at: an index of a split ring, the slot and the wrap
	 * counter of a packed one.
	 */
	uint16_t avail_idx;
	uint16_t used_idx;
	/* Packed: what the driver stored in the ring, and the lists that are outstanding. */
	uint8_t *stored;
	struct list *lists;
};

/* chains.c */
uint16_t get16(uint64_t address);
uint64_t get64(uint64_t address);
uint32_t length_of(uint64_t half);
unsigned int flags_of(const struct queue *queue, uint64_t half);
bool covers(const struct record *access, uint64_t address);
uint16_t loaded(const struct record *access, uint64_t address);
void put_lost(void);
void put_chain(const struct record *by, const struct queue *queue, uint16_t head);
void put_desc(const struct record *by, uint64_t at, uint64_t first, uint64_t half, uint16_t head,
	      uint16_t pos);
void put_header(const struct record *by, const struct queue *queue, uint64_t address,
		uint64_t half, uint16_t head);
uint64_t last_byte_of(uint64_t address, uint32_t length);

/* split.c */
void split_accessed(const struct record *access, struct queue *queue);
void split_begin(const struct record *by, struct queue *queue);

/* packed.c */
bool packed_keep(struct queue *queue);
void packed_forget(struct queue *queue);
void packed_accessed(const struct record *access, struct queue *queue);
void packed_begin(const struct record *by, struct queue *queue);

#endif /* PYKIT_PLUGIN_CHAINS_H */
