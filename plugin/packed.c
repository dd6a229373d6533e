// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lists and used descriptors of packed rings (section 2.8).
 *
 * The device writes used descriptors over available ones, at any moment after their flags are
 * stored. So each descriptor is copied when the driver stores it, while it is still the driver's.
 */
#include "chains.h"

#include <stdlib.h>
#include <string.h>

enum {
	AT_LENGTH = 8, AT_FLAGS = 14,
	IDS = 1 << 16,
};

bool packed_keep(struct queue *queue)
{
	queue->stored = calloc(queue->place.size, DESC_BYTES);
	queue->lists = calloc(IDS, sizeof(*queue->lists));
	if (queue->stored && queue->lists)
		return true;
	packed_forget(queue);
	return false;
}

void packed_forget(struct queue *queue)
{
	free(queue->stored);
	free(queue->lists);
	queue->stored = NULL;
	queue->lists = NULL;
}

static uint64_t address_of(const struct queue *queue, uint16_t position)
{
	return queue->place.desc + (uint64_t)(position & ~WRAP) * DESC_BYTES;
}

static uint16_t advance(const struct queue *queue, uint16_t position, unsigned int slots)
{
	unsigned int slot = (position & ~WRAP) + slots;
	uint16_t wrap = position & WRAP;

	for (; slot >= queue->place.size; slot -= queue->place.size)
		wrap ^= WRAP;
	return slot | wrap;
}

static bool is_available(uint16_t flags, uint16_t position)
{
	bool wrap = position & WRAP;

	return !!(flags & F_AVAIL) == wrap && !!(flags & F_USED) != wrap;
}

static bool is_used(uint16_t flags, uint16_t position)
{
	bool wrap = position & WRAP;

	return !!(flags & F_AVAIL) == wrap && !!(flags & F_USED) == wrap;
}

/* What the driver stored at a slot: its address (from 0) or its upper half (from 8). */
static uint64_t stored(const struct queue *queue, uint16_t position, unsigned int from)
{
	uint64_t value;

	memcpy(&value, queue->stored + (position & ~WRAP) * DESC_BYTES + from, sizeof(value));
	return value;
}

static uint16_t stored_flags(const struct queue *queue, uint16_t position)
{
	return stored(queue, position, AT_LENGTH) >> 48;
}

/* Copy what a store wrote: what stands there now may be the device's, if only memory shows it. */
static void keep_store(const struct record *access, const struct queue *queue)
{
	uint64_t start = queue->place.desc;
	uint64_t end = start + (uint64_t)queue->place.size * DESC_BYTES;

	if (access->address >= end || access->address + access->size <= start)
		return;
	for (uint64_t at = access->address; at < access->address + access->size; at++) {
		uint64_t value = access->value >> (at - access->address) * 8;

		if (start <= at && at < end &&
		    (access->flags & RECORD_EXACT || memory_value(at, 1, &value)))
			queue->stored[at - start] = value;
	}
}

/* One element of a list: it says where the list's last byte will be. */
static void take_element(struct list *list, uint64_t address, uint64_t half)
{
	if (half >> 48 & F_WRITE) {
		list->address = address;
		list->length = length_of(half);
	}
}

/* A list's table: its entries are in order, whatever their flags say. */
static void read_table(const struct record *by, const struct queue *queue, struct list *list,
		       uint64_t table, uint32_t entries, uint16_t id)
{
	for (uint32_t i = 0; i < entries && i < TABLE; i++) {
		uint64_t at = table + (uint64_t)i * DESC_BYTES;
		uint64_t address = get64(at), half = get64(at + AT_LENGTH);

		put_desc(by, at, address, half, id, i + 1);
		if (!i)
			put_header(by, queue, address, half, id);
		take_element(list, address, half);
	}
}

/* How many slots a list has that begins at avail_idx; its buffer id stands in the last. */
static unsigned int length_of_list(const struct queue *queue)
{
	unsigned int slots = 1;

	while (slots < queue->place.size &&
	       stored_flags(queue, advance(queue, queue->avail_idx, slots - 1)) & F_NEXT)
		slots++;
	return slots;
}

static unsigned int read_list(const struct record *by, struct queue *queue)
{
	uint16_t begin = queue->avail_idx;
	unsigned int slots = length_of_list(queue);
	uint16_t id = stored(queue, advance(queue, begin, slots - 1), AT_LENGTH) >> 32;
	struct list *list = &queue->lists[id];

	*list = (struct list){ .slots = slots };
	queue->avail_idx = advance(queue, begin, slots);
	put_chain(by, queue, id);
	for (unsigned int pos = 0; pos < slots; pos++) {
		uint16_t at = advance(queue, begin, pos);
		uint64_t address = stored(queue, at, 0), half = stored(queue, at, AT_LENGTH);

		put_desc(by, address_of(queue, at), address, half, id, pos);
		if (!pos)
			put_header(by, queue, address, half, id);
		if (half >> 48 & F_INDIRECT && slots == 1)
			read_table(by, queue, list, address, length_of(half) / DESC_BYTES, id);
		else
			take_element(list, address, half);
	}
	return slots;
}

/* Lists that are available and were not yet when this was called last. */
static void look_for_lists(const struct record *by, struct queue *queue)
{
	unsigned int seen = 0;

	while (seen < queue->place.size &&
	       is_available(stored_flags(queue, queue->avail_idx), queue->avail_idx))
		seen += read_list(by, queue);
}

/*
 * A device that was faster than the look at the store has used the list already: whether it went on
 * in a table is not known. What the driver stored behind says where the next list begins.
 */
static void rebuild_flags(struct queue *queue)
{
	uint16_t at = queue->avail_idx, behind = advance(queue, at, 1);
	uint16_t flags = at & WRAP ? F_AVAIL : F_USED;

	put_lost();
	if (is_available(stored_flags(queue, behind), behind))
		flags |= F_NEXT;
	memcpy(queue->stored + (at & ~WRAP) * DESC_BYTES + AT_FLAGS, &flags, sizeof(flags));
}

/* The next used descriptor, if the driver can see it, and could not when this was called last. */
static void look_for_used(const struct record *by, struct queue *queue)
{
	struct record record = *by;
	struct list *list;
	uint16_t id;

	record.kind = RECORD_USED;
	record.flags = RECORD_VALUE;
	record.address = address_of(queue, queue->used_idx);
	record.value = get64(record.address + AT_LENGTH);
	record.first = queue->used_idx;
	id = record.value >> 32;
	list = &queue->lists[id];
	record.second = last_byte_of(list->address, list->length);
	record_put(&record);
	/* Without its list it is not known where the next one will be. */
	if (list->slots)
		queue->used_idx = advance(queue, queue->used_idx, list->slots);
	list->slots = 0;
}

/* After the record of an access to any ring. */
void packed_accessed(const struct record *access, struct queue *queue)
{
	struct record by = { .ts = access->ts, .cpu = access->cpu };
	uint64_t used = address_of(queue, queue->used_idx) + AT_FLAGS;

	if (access->flags & RECORD_WRITE) {
		keep_store(access, queue);
		if (!covers(access, address_of(queue, queue->avail_idx) + AT_FLAGS))
			return;
		if (!(access->flags & RECORD_EXACT) &&
		    is_used(stored_flags(queue, queue->avail_idx), queue->avail_idx))
			rebuild_flags(queue);
		look_for_lists(&by, queue);
	} else if (covers(access, used) && is_used(loaded(access, used), queue->used_idx)) {
		look_for_used(&by, queue);
	}
}

/* What is available in a queue that was just set up. */
void packed_begin(const struct record *by, struct queue *queue)
{
	uint64_t value;

	queue->avail_idx = WRAP;
	queue->used_idx = WRAP;
	for (uint64_t i = 0; i < (uint64_t)queue->place.size * DESC_BYTES; i++) {
		memory_value(queue->place.desc + i, 1, &value);
		queue->stored[i] = value;
	}
	look_for_lists(by, queue);
}
