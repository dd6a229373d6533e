/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Block requests, as kernel/probe/blk.c has them: what the device reads first is the header,
 * the last byte that it writes is the status. Requests that cannot be read are not recorded.
 */
#ifndef RECORD_BLK_H
#define RECORD_BLK_H

#define T_GET_ID	8
#define T_GET_LIFETIME	10
#define T_DISCARD	11
#define T_WRITE_ZEROES	13
#define T_SECURE_ERASE	14
#define T_ZONE_APPEND	15
#define T_ZONE_REPORT	16

#define STATUS_OK	0

/* A report's header, and each zone in it. */
#define ZONE_BYTES	64
/* Zones of a report for which there are events. */
#define MAX_ZONES	256

struct blk_header {
	u32 type;
	u32 reserved;
	u64 sector;
};

struct blk_range {
	u64 sector;
	u32 sectors;
	u32 flags;
};

struct blk_zone {
	u64 capacity;
	u64 start;
	u64 wp;
	u8 type;
	u8 state;
} __attribute__((packed));

static __always_inline bool has_ranges(u32 type)
{
	return type == T_DISCARD || type == T_WRITE_ZEROES || type == T_SECURE_ERASE;
}

/* Requests whose answer is recorded: see the event blk_answer. */
static __always_inline bool has_answer(u32 type)
{
	return type == T_GET_ID || type == T_GET_LIFETIME || type == T_ZONE_APPEND ||
	       type == T_ZONE_REPORT;
}

static long each_range(u32 n, struct walk *w)
{
	struct queue *q = w->q;
	const struct blk_range *range = (void *)q->reading.bytes;
	u16 pos = q->range++;
	struct ev_blk_range *e;

	if (read_pieces(q, true, HEADER_BYTES + (u64)pos * sizeof(*range), sizeof(*range)) !=
	    sizeof(*range))
		return 1;
	e = RESERVE_VQ(blk_range, q);
	if (!e)
		return 0;
	e->sector = range->sector;
	e->sectors = range->sectors;
	e->flags = range->flags;
	e->head = q->chain.add.head;
	e->pos = pos;
	SUBMIT(e);
	return 0;
}

/* Where the status byte is in the kernel's memory, 0: not known. */
static __always_inline u64 status_at(const struct queue *q)
{
	/* Behind an IOMMU, or a copy elsewhere, only the driver's own place is known. */
	return q->platform ? q->buffers.last : q->direct + q->sums.last;
}

/* A request was made available: what was walked last. */
static __noinline int start_request(struct queue *q)
{
	const struct blk_header *header = (void *)q->opening;
	u16 head = q->chain.add.head, segments = 0;
	struct held *held = held_of(q, head);
	struct answer_key key = { .vq = q->vq, .head = head };
	struct walk w = { .q = q };
	struct ev_blk_start *e;
	u64 bytes;

	if (!held || !q->sums.writable || q->buffers.readable < HEADER_BYTES)
		return 0;
	/* The core has put another address there, or memory is not where it should be. */
	if (q->got < HEADER_BYTES ||
	    (!q->platform && q->direct + q->sums.first != q->pieces.piece[0].at)) {
		lose(LOST_READS, 1);
		return 0;
	}
	bytes = q->sums.readable - HEADER_BYTES + q->sums.writable - 1;
	/* The sector where the data went is not data. */
	if (header->type == T_ZONE_APPEND && q->sums.writable > sizeof(u64))
		bytes -= sizeof(u64);
	if (has_ranges(header->type))
		segments = bytes / sizeof(struct blk_range);
	e = RESERVE_VQ(blk_start, q);
	if (e) {
		e->sector = header->sector;
		e->status_addr = q->sums.last;
		e->bytes = bytes;
		e->type = header->type;
		e->head = head;
		e->segments = segments;
		SUBMIT(e);
	}
	q->range = 0;
	bpf_loop(segments, each_range, &w, 0);
	held->status_at = status_at(q);
	if (has_answer(header->type) && bpf_map_update_elem(&answers, &key, &q->pieces, BPF_ANY))
		lose(LOST_QUEUES, 1);
	return 0;
}

/* Read what the device has written, but for the status. Returns how much there is. */
static __always_inline u32 read_answer(struct queue *q, u64 skip, u32 wanted)
{
	u64 there = q->pieces.writable - 1;

	if (skip >= there)
		return 0;
	if (wanted > there - skip)
		wanted = there - skip;
	return read_pieces(q, false, skip, wanted);
}

static long each_zone(u32 n, struct walk *w)
{
	struct queue *q = w->q;
	const struct blk_zone *zone = (void *)q->reading.bytes;
	u16 pos = q->range++;
	struct ev_blk_zone *e;

	if (read_answer(q, ZONE_BYTES * (1ULL + pos), sizeof(*zone)) < sizeof(*zone))
		return 1;
	e = RESERVE_VQ(blk_zone, q);
	if (!e)
		return 0;
	e->start = zone->start;
	e->capacity = zone->capacity;
	e->wp = zone->wp;
	e->head = q->taken.id;
	e->pos = pos;
	e->z_type = zone->type;
	e->z_state = zone->state;
	SUBMIT(e);
	return 0;
}

static __noinline int trace_answer(struct queue *q, u32 type)
{
	bool zoned = type == T_ZONE_APPEND || type == T_ZONE_REPORT;
	u32 got = read_answer(q, 0, zoned ? 8 : 24);
	struct walk w = { .q = q };
	struct ev_blk_answer *e;
	u64 value[3];

	if (!got)
		return 0;
	__builtin_memcpy(value, q->reading.bytes, sizeof(value));
	e = RESERVE_VQ(blk_answer, q);
	if (e) {
		e->first = value[0];
		e->second = value[1];
		e->third = value[2];
		e->type = type;
		e->head = q->taken.id;
		e->got = got;
		SUBMIT(e);
	}
	if (type != T_ZONE_REPORT)
		return 0;
	q->range = 0;
	bpf_loop(value[0] < MAX_ZONES ? value[0] : MAX_ZONES, each_zone, &w, 0);
	return 0;
}

/*
 * A request was taken back, and the driver does not go on yet: its memory is still the
 * request's, and what a device behind a copy wrote has arrived there.
 */
static __noinline int end_request(struct queue *q)
{
	struct held *held = held_of(q, q->taken.id);
	struct answer_key key = { .vq = q->vq, .head = q->taken.id };
	const struct blk_header *header;
	struct pieces *answer;

	q->ends = 0;
	if (!held || !held->status_at)
		return 0;
	if (READ(q->status, held->status_at)) {
		held->status_at = 0;
		lose(LOST_READS, 1);
		return 0;
	}
	q->ends = 1;
	header = (void *)held->header;
	if (!has_answer(header->type))
		return 0;
	answer = bpf_map_lookup_elem(&answers, &key);
	if (!answer)
		return 0;
	bpf_probe_read_kernel(&q->pieces, sizeof(q->pieces), answer);
	bpf_map_delete_elem(&answers, &key);
	return q->status == STATUS_OK ? trace_answer(q, header->type) : 0;
}

/* Behind its used entry. */
static __noinline int request_done(struct queue *q)
{
	struct held *held = held_of(q, q->taken.id);
	const struct blk_header *header;
	struct ev_blk_done *e;

	if (!q->ends || !held)
		return 0;
	held->status_at = 0;
	header = (void *)held->header;
	e = RESERVE_VQ(blk_done, q);
	if (!e)
		return 0;
	e->sector = header->sector;
	e->type = header->type;
	e->len = q->taken.len;
	e->head = q->taken.id;
	e->status = q->status;
	SUBMIT(e);
	return 0;
}

#endif /* RECORD_BLK_H */
