/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compares chains that are back, and the driver area, with what they were, as
 * kernel/trace/ring.c does for the probe.
 */
#ifndef RECORD_LOOK_H
#define RECORD_LOOK_H

/* What of the driver area is not as the driver left it. */
#define AREA_ENTRY	1
#define AREA_INDEX	2
#define AREA_EVENT	4

/* What became of bytes that are the driver's. */
#define BYTES_UNKNOWN	0
#define BYTES_KEPT	1
#define BYTES_ALTERED	2

/* The used entry was altered while the driver took it. */
#define TOUCHED_WITHIN	8

/* Nothing but the driver changes what suppresses interrupts from here on. */
static __always_inline void leave_suppression(struct queue *q)
{
	u16 event, flags;

	read_suppression(q, &event, &flags);
	q->left_event = event;
	q->left_flags = flags;
	q->left = 1;
}

/* Trace what became of the chain that was taken last; its used entry is read again. */
static __noinline int trace_back(struct queue *q)
{
	struct ev_compared *e;
	struct taken now = { .index = q->back.index };

	if (!q->is_back)
		return 0;
	q->is_back = 0;
	read_used(q, &now);
	e = RESERVE_VQ(compared, q);
	if (e) {
		e->id = now.id;
		e->len = now.len;
		e->index = q->back.index;
		e->head = q->back.head;
		e->changed = q->back.changed;
		e->driver_area = q->back.driver_area;
		e->header = q->back.header;
		e->table = q->back.table;
		e->between = q->touched;
		SUBMIT(e);
	}
	q->touched = 0;
	return 0;
}

/* Keep what a chain and its header are: what was walked last. */
static __noinline int hold_chain(struct queue *q)
{
	struct held *held = held_of(q, q->chain.add.head);

	if (!held)
		return 0;
	held->sum = 0;
	held->at = q->first;
	held->header_at = 0;
	held->status_at = 0;
	held->table = q->chain.table;
	if (!q->walk_lost && (!q->packed || (q->chain.add.indirect && q->chain.table)))
		held->sum = folded(q);
	if (q->blk && q->got == HEADER_BYTES && q->pieces.piece[0].len >= HEADER_BYTES)
		held->header_at = q->pieces.piece[0].at;
	__builtin_memcpy(held->header, q->opening, sizeof(held->header));
	return 0;
}

static __noinline int changed_area(struct queue *q, const struct held *held, u32 id)
{
	u16 at = held->at, entry = 0, idx = 0, event, flags;
	int found = 0;

	if (!q->packed) {
		READ(entry, q->avail + 4 + 2ULL * (at & (q->size - 1)));
		READ(idx, q->avail + 2);
		/* Further chains may have got its entry. */
		if ((u16)(q->next_avail - at) <= q->size && entry != id)
			found |= AREA_ENTRY;
		if (idx != q->next_avail)
			found |= AREA_INDEX;
	}
	read_suppression(q, &event, &flags);
	/* Other drivers may disable interrupts at any time, from an interrupt. */
	if (q->left && q->blk && (event != q->left_event || flags != q->left_flags))
		found |= AREA_EVENT;
	return found;
}

static __noinline int compare_header(const struct held *held)
{
	u64 now[2], before[2];

	if (!held->header_at || READ(now, held->header_at))
		return BYTES_UNKNOWN;
	__builtin_memcpy(before, held->header, sizeof(before));
	return now[0] == before[0] && now[1] == before[1] ? BYTES_KEPT : BYTES_ALTERED;
}

/*
 * Look at a chain that is back, before the core takes it: it frees the table then. With IN_ORDER
 * one used entry may return many chains: they are not looked at.
 */
static __noinline int look(struct queue *q)
{
	u32 id = q->taken.id;
	struct held *held = held_of(q, id);

	if (!held || q->in_order || id >= MAX_DESCS ||
	    (q->packed ? !q->outstanding[id] : !held->sum))
		return 0;
	trace_back(q);
	q->back.index = q->taken.index;
	q->back.head = id;
	q->back.changed = 0;
	q->back.table = BYTES_UNKNOWN;
	q->back.driver_area = changed_area(q, held, id);
	q->back.header = compare_header(held);
	if (!q->packed) {
		walk_split(q, id);
		q->back.changed = folded(q) != held->sum;
	} else if (held->sum) {
		begin_walk(q);
		walk_table(q, id, held->table);
		q->back.table = folded(q) == held->sum ? BYTES_KEPT : BYTES_ALTERED;
	}
	q->looked = 1;
	return 0;
}

/* The core has taken it, and may have altered the used entry; later nobody but the device may. */
static __noinline int looked_back(struct queue *q)
{
	struct taken now = { .index = q->taken.index };

	q->is_back = q->looked;
	q->looked = 0;
	if (!q->is_back)
		return 0;
	read_used(q, &now);
	if (now.id != q->taken.id || now.len != q->taken.len)
		q->touched |= TOUCHED_WITHIN;
	return 0;
}

#endif /* RECORD_LOOK_H */
