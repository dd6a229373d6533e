// SPDX-License-Identifier: GPL-2.0-only
/* The chains and used entries of split rings (section 2.7). */
#include "chains.h"

/* What was read of a descriptor's upper half. */
static uint64_t read_desc(const struct record *by, uint64_t at, uint16_t head, uint16_t pos)
{
	uint64_t half = get64(at + 8);

	put_desc(by, at, get64(at), half, head, pos);
	return half;
}

/* A chain's table, behind so many descriptors of the ring. */
static void read_table(const struct record *by, const struct queue *queue, uint64_t table,
		       uint32_t entries, uint16_t head, uint16_t before)
{
	uint32_t slot = 0, pos;
	uint64_t at, half;

	for (pos = 0; pos < entries && pos < TABLE && slot < entries; pos++) {
		at = table + (uint64_t)slot * DESC_BYTES;
		half = read_desc(by, at, head, before + pos);
		if (before + pos == 1)
			put_header(by, queue, get64(at), half, head);
		if (!(flags_of(queue, half) & F_NEXT))
			break;
		slot = half >> 48;
	}
}

static void read_chain(const struct record *by, const struct queue *queue, uint16_t head)
{
	const struct queue_place *place = &queue->place;
	uint16_t slot = head;
	uint64_t at, half;

	put_chain(by, queue, head);
	for (uint32_t pos = 0; pos <= place->size && slot < place->size; pos++) {
		at = place->desc + (uint64_t)slot * DESC_BYTES;
		half = read_desc(by, at, head, pos);
		if (!pos)
			put_header(by, queue, get64(at), half, head);
		if (flags_of(queue, half) & F_INDIRECT) {
			read_table(by, queue, get64(at), length_of(half) / DESC_BYTES, head,
				   pos + 1);
			break;
		}
		if (!(flags_of(queue, half) & F_NEXT))
			break;
		slot = half >> 48;
	}
}

/* Chains that are available and were not yet when this was called last. */
static void look_for_chains(const struct record *by, struct queue *queue)
{
	const struct queue_place *place = &queue->place;
	uint16_t until = get16(place->avail + 2);
	uint16_t head;

	/* An index that went back, or further than there is room for: its last chain shows that. */
	if ((uint16_t)(until - queue->avail_idx) > place->size)
		queue->avail_idx = until - 1;
	while (queue->avail_idx != until) {
		head = get16(place->avail + 4 + 2 * (queue->avail_idx % place->size));
		queue->avail_idx++;
		read_chain(by, queue, head);
	}
}

/* What the device wrote last into the chain of a head, and that it was found. */
static uint64_t last_byte(const struct queue *queue, uint32_t head)
{
	uint64_t table = queue->place.desc, entries = queue->place.size, slot = head, half;
	bool nested = false;

	for (uint32_t pos = 0; pos < TABLE && slot < entries; pos++) {
		uint64_t at = table + slot * DESC_BYTES;

		half = get64(at + 8);
		if (flags_of(queue, half) & F_INDIRECT && !nested) {
			nested = true;
			table = get64(at);
			entries = length_of(half) / DESC_BYTES;
			slot = 0;
		} else if (flags_of(queue, half) & F_NEXT) {
			slot = half >> 48;
		} else if (flags_of(queue, half) & F_WRITE) {
			return last_byte_of(get64(at), length_of(half));
		} else {
			return 0;
		}
	}
	return 0;
}

/* Used entries that the driver can see and could not when this was called last. */
static void look_for_used(const struct record *by, struct queue *queue, uint16_t until)
{
	const struct queue_place *place = &queue->place;
	struct record record = *by;

	record.kind = RECORD_USED;
	record.flags = RECORD_VALUE;
	if ((uint16_t)(until - queue->used_idx) > place->size)
		queue->used_idx = until - 1;
	for (; queue->used_idx != until; queue->used_idx++) {
		record.address = place->used + 4 + 8 * (queue->used_idx % place->size);
		record.value = get64(record.address);
		record.first = queue->used_idx;
		record.second = last_byte(queue, record.value);
		record_put(&record);
	}
}

/* After the record of an access to any ring. */
void split_accessed(const struct record *access, struct queue *queue)
{
	const struct queue_place *place = &queue->place;
	struct record by = { .ts = access->ts, .cpu = access->cpu };
	bool store = access->flags & RECORD_WRITE;

	if (store && covers(access, place->avail + 2))
		look_for_chains(&by, queue);
	else if (!store && covers(access, place->used + 2))
		look_for_used(&by, queue, loaded(access, place->used + 2));
}

/* What is available in a queue that was just set up. */
void split_begin(const struct record *by, struct queue *queue)
{
	look_for_chains(by, queue);
}
