/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads a ring from memory, as kernel/trace/ring.c does for the probe: events hold what
 * stands there, not what the core was asked to do. Little-endian machines only.
 */
#ifndef RECORD_RING_H
#define RECORD_RING_H

#define F_NEXT		1
#define F_WRITE		2
#define F_INDIRECT	4
#define F_AVAIL		0x80
#define F_USED		0x8000

static __always_inline u16 advance(const struct queue *q, u16 pos, u16 slots)
{
	u16 slot = (pos & ~WRAP) + slots;
	u16 wrap = pos & WRAP;

	if (slot >= q->size) {
		slot -= q->size;
		wrap ^= WRAP;
	}
	return slot | wrap;
}

/* What the device asks for: flags, and with EVENT_IDX avail_event. */
static __noinline int read_event(const struct queue *q, u16 *event, u16 *flags)
{
	u16 area[2] = {};

	READ(area, q->used);
	if (q->packed) {
		*event = area[0];
		*flags = area[1];
		return 0;
	}
	*flags = area[0];
	*event = area[0];
	if (q->event_idx)
		READ(*event, q->used + 4 + 8ULL * q->size);
	return 0;
}

/* What the driver has asked for, as the device will find it. */
static __noinline int read_suppression(const struct queue *q, u16 *event, u16 *flags)
{
	u16 area[2] = {};

	READ(area, q->avail);
	if (q->packed) {
		*event = area[0];
		*flags = area[1];
		return 0;
	}
	*flags = area[0];
	*event = 0;
	READ(*event, q->avail + 4 + 2ULL * q->size);
	return 0;
}

static __noinline int packed_is_used(const struct queue *q, u16 pos)
{
	u16 flags = 0;

	READ(flags, q->desc + 16ULL * (pos & ~WRAP) + 14);
	if (pos & WRAP)
		return (flags & (F_AVAIL | F_USED)) == (F_AVAIL | F_USED);
	return !(flags & (F_AVAIL | F_USED));
}

static __always_inline u16 used_idx(const struct queue *q)
{
	u16 idx = 0;

	if (q->packed)
		return q->last_used + packed_is_used(q, q->last_used);
	READ(idx, q->used + 2);
	return idx;
}

static __always_inline void read_used(const struct queue *q, struct taken *t)
{
	if (q->packed) {
		struct raw_desc d = {};

		READ(d, q->desc + 16ULL * (t->index & ~WRAP));
		t->id = d.flags;
		t->len = d.len;
		t->flags = d.next;
	} else {
		u32 entry[2] = {};

		READ(entry, q->used + 4 + 8ULL * (t->index & (q->size - 1)));
		t->id = entry[0];
		t->len = entry[1];
	}
}

/* Look at the next used entry; sets whether there is one. */
static __noinline int before_get(const struct queue *q, struct taken *t)
{
	t->id = 0;
	t->len = 0;
	t->flags = 0;
	t->index = q->last_used;
	t->used_idx = used_idx(q);
	t->there = t->used_idx != q->last_used;
	if (!t->there)
		return 0;
	if (q->packed)
		t->used_idx = q->last_used;
	read_used(q, t);
	return 0;
}

#endif /* RECORD_RING_H */
