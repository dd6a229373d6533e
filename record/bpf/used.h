/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decisions to notify, used entries, callbacks and interrupts.
 */
#ifndef RECORD_USED_H
#define RECORD_USED_H

#define IRQ_HANDLED	1

static __always_inline void trace_notify(struct queue *q)
{
	struct ev_notify *e = RESERVE_VQ(notify, q);

	if (e)
		SUBMIT(e);
}

static __noinline int before_kick(struct queue *q)
{
	/* What was made available comes before what the device asks for. */
	__sync_fetch_and_add(&q->fence, 1);
	return read_event(q, &q->kick_event, &q->kick_flags);
}

static __noinline int after_kick(struct queue *q, u8 needed)
{
	struct ev_kick *e = RESERVE_VQ(kick, q);

	if (e) {
		e->old = q->kick_idx;
		e->new = q->next_avail;
		e->event = q->kick_event;
		e->flags = q->kick_flags;
		e->event_idx = q->event_idx;
		e->needed = needed;
		read_event(q, &e->event_after, &e->flags_after);
		SUBMIT(e);
	}
	q->kick_idx = q->next_avail;
	return 0;
}

static __noinline int enter_get(u64 vq)
{
	struct queue *q = enter_queue(vq);

	if (!q)
		return 0;
	begins(&q->taking);
	q->taken_free = MEMBER(vring_virtqueue, vq, vq.num_free);
	q->taken.there = 0;
	/* A broken queue the core does not look at. */
	if (!is_broken(vq))
		before_get(q, &q->taken);
	return 0;
}

static __noinline int leave_get(u64 vq, u64 buf)
{
	struct queue *q = find_queue(vq);
	struct ev_used *e;
	u32 freed;

	/* Of one operation inside the other the first to return is recorded. */
	if (!q || !ends(&q->taking))
		return 0;
	/* What came after the look at the entry stands there still. */
	if (buf && !q->taken.there)
		before_get(q, &q->taken);
	/* A core that takes what is not there; with IN_ORDER it takes a batch from one entry. */
	if (buf && !q->taken.there && !q->in_order) {
		read_used(q, &q->taken);
		q->taken.there = 1;
	}
	if (!q->taken.there)
		return 0;
	e = RESERVE_VQ(used, q);
	if (e) {
		e->id = q->taken.id;
		e->len = q->taken.len;
		e->index = q->taken.index;
		e->used_idx = q->taken.used_idx;
		e->flags = q->taken.flags;
		read_suppression(q, &e->event, &e->event_flags);
		e->accepted = !!buf;
		SUBMIT(e);
	}
	if (!buf)
		return 0;
	if (!q->packed) {
		q->last_used++;
		return 0;
	}
	freed = MEMBER(vring_virtqueue, vq, vq.num_free) - q->taken_free;
	/* A core that miscounts must not lead out of the ring. */
	if (freed > q->size)
		freed = q->size;
	q->last_used = advance(q, q->last_used, freed);
	if (q->taken.id < MAX_DESCS)
		q->outstanding[q->taken.id] = 0;
	return 0;
}

static __noinline int callback(struct queue *q, u8 enable, u8 pending)
{
	struct ev_callback *e = RESERVE_VQ(callback, q);

	if (!e)
		return 0;
	e->last_used = q->last_used;
	e->used_idx = used_idx(q);
	e->event_idx = q->event_idx;
	e->enable = enable;
	e->pending = pending;
	read_suppression(q, &e->used_event, &e->avail_flags);
	SUBMIT(e);
	return 0;
}

static __noinline int trace_interrupt(struct queue *q)
{
	struct ev_interrupt *e = RESERVE_VQ(interrupt, q);

	if (!e)
		return 0;
	e->used_idx = used_idx(q);
	e->last_used = q->last_used;
	SUBMIT(e);
	return 0;
}

#endif /* RECORD_USED_H */
