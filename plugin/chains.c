// SPDX-License-Identifier: GPL-2.0-only
/*
 * What rings hold at the accesses that count: the chains at the store that makes them available,
 * with their indirect tables, and the used entries at the load that shows them to the driver. Later
 * the driver may have written over either. Callers hold the lock of access.c.
 */
#include "chains.h"

enum {
	QUEUES = 1024,
	/* As long as a block request's header. */
	HEADER = 16,
};

static struct queue queues[QUEUES];
static unsigned int count;

uint16_t get16(uint64_t address)
{
	uint64_t value;

	return memory_value(address, 2, &value) ? value : 0;
}

uint64_t get64(uint64_t address)
{
	uint64_t value;

	return memory_value(address, 8, &value) ? value : 0;
}

/* Its length in bytes, flags and last field are the upper half of a descriptor. */
uint32_t length_of(uint64_t half)
{
	return half;
}

/* A packed descriptor has its flags last, behind its buffer id. */
unsigned int flags_of(const struct queue *queue, uint64_t half)
{
	return queue->place.packed ? half >> 48 : half >> 32 & 0xffff;
}

bool covers(const struct record *access, uint64_t address)
{
	return access->address < address + 2 && address < access->address + access->size;
}

/* What an access that covers these two bytes loaded, or stored. */
uint16_t loaded(const struct record *access, uint64_t address)
{
	bool whole = access->address <= address &&
		     address + 2 <= access->address + access->size;

	/* The device may have gone on since. */
	if (access->flags & RECORD_VALUE && access->size <= 8 && whole)
		return access->value >> (address - access->address) * 8;
	return get16(address);
}

void put_lost(void)
{
	record_put(&(struct record){ .kind = RECORD_LOST, .value = 1 });
}

/* A chain was made available; its descriptors follow. */
void put_chain(const struct record *by, const struct queue *queue, uint16_t head)
{
	struct record record = *by;

	record.kind = RECORD_CHAIN;
	record.flags = RECORD_VALUE;
	record.address = queue->place.desc;
	record.value = head | (uint32_t)queue->avail_idx << 16;
	record_put(&record);
}

/* Where a descriptor is, what stands there, and its place in the chain of that head. */
void put_desc(const struct record *by, uint64_t at, uint64_t first, uint64_t half, uint16_t head,
	      uint16_t pos)
{
	struct record record = *by;

	record.kind = RECORD_DESC;
	record.flags = RECORD_VALUE;
	record.address = at;
	record.first = first;
	record.second = half;
	record.value = head | (uint32_t)pos << 16;
	record_put(&record);
}

/* The first bytes of what the driver sends, as far as the first descriptor has them. */
void put_header(const struct record *by, const struct queue *queue, uint64_t address,
		uint64_t half, uint16_t head)
{
	unsigned int size = length_of(half) < HEADER ? length_of(half) : HEADER, first;
	struct record record = *by;

	if (flags_of(queue, half) & (F_WRITE | F_INDIRECT) || !size)
		return;
	first = size < sizeof(record.first) ? size : sizeof(record.first);
	record.kind = RECORD_HEADER;
	record.flags = RECORD_VALUE;
	record.address = address;
	record.size = size;
	if (!memory_value(address, first, &record.first) ||
	    !memory_value(address + first, size - first, &record.second))
		return;
	record.value = head;
	record_put(&record);
}

/* The last byte of a buffer that the device writes, and that it was found. */
uint64_t last_byte_of(uint64_t address, uint32_t length)
{
	uint64_t value;

	if (!length || !memory_value(address + length - 1, 1, &value))
		return 0;
	return FOUND | value;
}

/* After the record of an access to a ring. */
void chains_accessed(const struct record *access)
{
	for (unsigned int i = 0; i < count; i++) {
		if (queues[i].place.packed)
			packed_accessed(access, &queues[i]);
		else
			split_accessed(access, &queues[i]);
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
	struct queue *queue = &queues[count];

	for (unsigned int i = 0; i < count; i++)
		if (is_same(&queues[i].place, place))
			return queues[i].kept = true;
	if (count == QUEUES || !place->size)
		return false;
	*queue = (struct queue){ .place = *place, .kept = true, .fresh = true };
	if (place->packed && !packed_keep(queue))
		return false;
	count++;
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

	for (unsigned int i = 0; i < count; i++) {
		if (queues[i].kept)
			queues[left++] = queues[i];
		else if (queues[i].place.packed)
			packed_forget(&queues[i]);
	}
	count = left;
	for (unsigned int i = 0; i < count; i++) {
		if (!queues[i].fresh)
			continue;
		queues[i].fresh = false;
		put_setup(&by, &queues[i].place);
		if (queues[i].place.packed)
			packed_begin(&by, &queues[i]);
		else
			split_begin(&by, &queues[i]);
	}
}
