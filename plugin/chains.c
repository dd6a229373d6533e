// SPDX-License-Identifier: GPL-2.0-only
/*
 * What rings hold at the accesses that count: the chains at the store that makes them available,
 * with their indirect tables, and the used entries at the load that shows them to the driver. Later
 * the driver may have written over either. Callers hold the lock of access.c.
 */
#include "access.h"

enum {
	QUEUES = 1024,
	DESC_BYTES = 16,
	/* Of a block request's header. */
	HEADER = 16,
	F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4,
	/* The longest table that is read. */
	TABLE = 1 << 15,
	/* In front of a byte that was found. */
	FOUND = 1 << 8,
};

static struct queue {
	struct queue_place place;
	/* In this answer, and not in the one before. */
	bool kept;
	bool fresh;
	/* The indices up to which both sides have been looked at. */
	uint16_t avail_idx;
	uint16_t used_idx;
} queues[QUEUES];
static unsigned int count;

static uint16_t get16(uint64_t address)
{
	uint64_t value;

	return memory_value(address, 2, &value) ? value : 0;
}

static uint64_t get64(uint64_t address)
{
	uint64_t value;

	return memory_value(address, 8, &value) ? value : 0;
}

/* Its length in bytes, flags and last field are the upper half of a descriptor. */
static uint32_t length_of(uint64_t half)
{
	return half;
}

/* Where a descriptor is, what stands there, and its place in the chain of that head. */
static uint64_t put_desc(const struct record *by, uint64_t at, uint16_t head, uint16_t pos)
{
	struct record record = *by;

	record.kind = RECORD_DESC;
	record.flags = RECORD_VALUE;
	record.address = at;
	record.first = get64(at);
	record.second = get64(at + 8);
	record.value = head | (uint32_t)pos << 16;
	record_put(&record);
	return record.second;
}

/* The first bytes of what the driver sends, where one descriptor has all of them. */
static void put_header(const struct record *by, uint64_t at, uint64_t half, uint16_t head)
{
	struct record record = *by;

	if (half >> 32 & (F_WRITE | F_INDIRECT) || length_of(half) < HEADER)
		return;
	record.kind = RECORD_HEADER;
	record.flags = RECORD_VALUE;
	record.address = get64(at);
	record.first = get64(record.address);
	record.second = get64(record.address + 8);
	record.value = head;
	record_put(&record);
}

/*
 * A chain's table, behind so many descriptors of the ring: its entries are in order where the ring
 * is packed, else linked.
 */
static void put_table(const struct record *by, const struct queue *queue, uint64_t table,
		      uint32_t entries, uint16_t head, uint16_t before)
{
	uint32_t slot = 0, pos;
	uint64_t at, half;

	for (pos = 0; pos < entries && pos < TABLE && slot < entries; pos++) {
		at = table + (uint64_t)slot * DESC_BYTES;
		half = put_desc(by, at, head, before + pos);
		if (before + pos == 1)
			put_header(by, at, half, head);
		if (queue->place.packed)
			slot++;
		else if (half >> 32 & F_NEXT)
			slot = half >> 48;
		else
			break;
	}
}

static void put_chain(const struct record *by, struct queue *queue, uint16_t head)
{
	const struct queue_place *place = &queue->place;
	struct record record = *by;
	uint16_t slot = head;
	uint64_t at, half;

	record.kind = RECORD_CHAIN;
	record.flags = RECORD_VALUE;
	record.address = place->desc;
	record.value = head | (uint32_t)queue->avail_idx << 16;
	record_put(&record);
	for (uint32_t pos = 0; pos <= place->size && slot < place->size; pos++) {
		at = place->desc + (uint64_t)slot * DESC_BYTES;
		half = put_desc(by, at, head, pos);
		if (!pos)
			put_header(by, at, half, head);
		if (half >> 32 & F_INDIRECT) {
			put_table(by, queue, get64(at), length_of(half) / DESC_BYTES, head,
				  pos + 1);
			break;
		}
		if (!(half >> 32 & F_NEXT))
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

	/* More than there is room for is no chain that the device may take. */
	if ((uint16_t)(until - queue->avail_idx) > place->size) {
		record_put(&(struct record){ .kind = RECORD_LOST, .value = 1 });
		queue->avail_idx = until;
		return;
	}
	while (queue->avail_idx != until) {
		head = get16(place->avail + 4 + 2 * (queue->avail_idx % place->size));
		queue->avail_idx++;
		put_chain(by, queue, head);
	}
}

/* What the device wrote last into the chain of a head, and that it was found. */
static uint64_t last_byte(const struct queue_place *place, uint32_t head)
{
	uint64_t table = place->desc, entries = place->size, slot = head, half, value;
	bool nested = false;

	for (uint32_t pos = 0; pos < TABLE && slot < entries; pos++) {
		uint64_t at = table + slot * DESC_BYTES;

		half = get64(at + 8);
		if (half >> 32 & F_INDIRECT && !nested) {
			nested = true;
			table = get64(at);
			entries = length_of(half) / DESC_BYTES;
			slot = 0;
		} else if (half >> 32 & F_NEXT) {
			slot = half >> 48;
		} else {
			if (!(half >> 32 & F_WRITE) || !length_of(half) ||
			    !memory_value(get64(at) + length_of(half) - 1, 1, &value))
				return 0;
			return FOUND | value;
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
	if ((uint16_t)(until - queue->used_idx) > place->size) {
		record_put(&(struct record){ .kind = RECORD_LOST, .value = 1 });
		queue->used_idx = until;
	}
	for (; queue->used_idx != until; queue->used_idx++) {
		record.address = place->used + 4 + 8 * (queue->used_idx % place->size);
		record.value = get64(record.address);
		record.first = queue->used_idx;
		record.second = last_byte(place, record.value);
		record_put(&record);
	}
}

static bool covers(const struct record *access, uint64_t address)
{
	return access->address < address + 2 && address < access->address + access->size;
}

/* What an access that covers these two bytes loaded. */
static uint16_t loaded(const struct record *access, uint64_t address)
{
	bool whole = access->address <= address &&
		     address + 2 <= access->address + access->size;

	/* The device may have gone on since. */
	if (access->flags & RECORD_VALUE && access->size <= 8 && whole)
		return access->value >> (address - access->address) * 8;
	return get16(address);
}

/* After the record of an access to a ring. */
void chains_accessed(const struct record *access)
{
	bool store = access->flags & RECORD_WRITE;
	struct record by = { .ts = access->ts, .cpu = access->cpu };

	for (unsigned int i = 0; i < count; i++) {
		const struct queue_place *place = &queues[i].place;

		if (place->packed)
			continue;
		if (store && covers(access, place->avail + 2))
			look_for_chains(&by, &queues[i]);
		else if (!store && covers(access, place->used + 2))
			look_for_used(&by, &queues[i], loaded(access, place->used + 2));
	}
}

/* Before the queues of an answer. */
void chains_begin(void)
{
	for (unsigned int i = 0; i < count; i++)
		queues[i].kept = false;
}

static bool is_same(const struct queue_place *one, const struct queue_place *other)
{
	return one->desc == other->desc && one->avail == other->avail &&
	       one->used == other->used && one->size == other->size &&
	       one->packed == other->packed;
}

/* One of them; false where there is no room for it. */
bool chains_keep(const struct queue_place *place)
{
	for (unsigned int i = 0; i < count; i++)
		if (is_same(&queues[i].place, place))
			return queues[i].kept = true;
	if (count == QUEUES || !place->size)
		return false;
	queues[count++] = (struct queue){ .place = *place, .kept = true, .fresh = true };
	return true;
}

static void put_setup(const struct record *by, const struct queue_place *place)
{
	struct record record = *by;

	record.kind = RECORD_QUEUE;
	record.flags = RECORD_VALUE;
	record.address = place->desc;
	record.value = get16(place->avail) | (uint64_t)get16(place->avail + 2) << 16 |
		       (uint64_t)get16(place->used) << 32 |
		       (uint64_t)get16(place->used + 2) << 48;
	record.first = get16(place->avail + 4 + 2 * place->size);
	record_put(&record);
}

/* After the record of an answer: queues that were set up since the last, and what is in them. */
void chains_end(uint64_t ts, uint8_t cpu)
{
	struct record by = { .ts = ts, .cpu = cpu };
	unsigned int left = 0;

	for (unsigned int i = 0; i < count; i++)
		if (queues[i].kept)
			queues[left++] = queues[i];
	count = left;
	for (unsigned int i = 0; i < count; i++) {
		if (!queues[i].fresh)
			continue;
		queues[i].fresh = false;
		put_setup(&by, &queues[i].place);
		if (!queues[i].place.packed)
			look_for_chains(&by, &queues[i]);
	}
}
