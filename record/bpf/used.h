/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decisions to notify, used entries, callbacks and interrupts.
 */
#ifndef RECORD_USED_H
#define RECORD_USED_H

#define IRQ_HANDLED	1

/* Place in its chain of a descriptor that was used out of turn: of no chain. */
#define POS_STRAY	0xffff

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
	q->looked = 0;
	/* A broken queue the core does not look at. */
	if (!is_broken(vq))
		before_get(q, &q->taken);
	return q->taken.there ? look(q) : 0;
}

/* The core has accepted the entry: go on to the next one. */
static __noinline int took(struct queue *q)
{
	u32 id = q->taken.id, freed;
	struct held *held = held_of(q, id);

	if (held) {
		held->sum = 0;
		held->header_at = 0;
	}
	if (!q->packed) {
		q->last_used++;
		return 0;
	}
	freed = MEMBER(vring_virtqueue, q->vq, vq.num_free) - q->taken_free;
	/* A core that miscounts must not lead out of the ring. */
	if (freed > q->size)
		freed = q->size;
	q->last_slots = freed;
	q->last_used = advance(q, q->last_used, freed);
	if (id < MAX_DESCS)
		q->outstanding[id] = 0;
	return 0;
}

static __noinline int leave_get(u64 vq, u64 buf)
{
	struct queue *q = find_queue(vq);
	struct ev_used *e;

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
	if (buf && q->blk)
		end_request(q);
	leave_suppression(q);
	e = RESERVE_VQ(used, q);
	if (e) {
		e->id = q->taken.id;
		e->len = q->taken.len;
		e->index = q->taken.index;
		e->used_idx = q->taken.used_idx;
		e->flags = q->taken.flags;
		e->event = q->left_event;
		e->event_flags = q->left_flags;
		e->accepted = !!buf;
		SUBMIT(e);
	}
	if (!buf) {
		q->looked = 0;
		return 0;
	}
	took(q);
	looked_back(q);
	return q->blk ? request_done(q) : 0;
}

static __noinline int callback(struct queue *q, u8 enable, u8 pending)
{
	struct ev_callback *e;

	leave_suppression(q);
	e = RESERVE_VQ(callback, q);
	if (!e)
		return 0;
	e->last_used = q->last_used;
	e->used_idx = used_idx(q);
	e->event_idx = q->event_idx;
	e->enable = enable;
	e->pending = pending;
	e->used_event = q->left_event;
	e->avail_flags = q->left_flags;
	SUBMIT(e);
	return 0;
}

static __noinline int trace_interrupt(struct queue *q, u32 irq)
{
	struct ev_interrupt *e = RESERVE_VQ(interrupt, q);

	if (!e)
		return 0;
	e->irq = irq;
	e->used_idx = used_idx(q);
	e->last_used = q->last_used;
	SUBMIT(e);
	return 0;
}

static __noinline int trace_stray_slot(struct queue *q, const struct raw_desc *d)
{
	struct ev_slot *e = RESERVE_VQ(slot, q);

	if (!e)
		return 0;
	e->addr = d->addr;
	e->len = d->len;
	e->head = HEAD_UNKNOWN;
	e->slot = q->stray & ~WRAP;
	e->id = d->flags;
	e->flags = d->next;
	e->pos = POS_STRAY;
	SUBMIT(e);
	return 0;
}

static __noinline int trace_stray(struct queue *q, u32 irq)
{
	struct ev_stray *e = RESERVE_VQ(stray, q);

	if (!e)
		return 0;
	e->irq = irq;
	e->used_idx = used_idx(q);
	e->last_used = q->last_used;
	SUBMIT(e);
	return 0;
}

struct stray {
	struct queue *q;
	u16 next;	/* position of the used entry that is not there */
};

static long each_stray(u32 n, struct stray *s)
{
	struct queue *q = s->q;
	struct raw_desc d = {};

	if (q->stray == q->next_avail)
		return 1;
	READ(d, q->desc + 16ULL * (q->stray & ~WRAP));
	if (!(d.next & F_AVAIL) == !(d.next & F_USED)) {
		if (!packed_is_used(q, s->next) && s->next == q->last_used)
			trace_stray_slot(q, &d);
		return 1;
	}
	q->stray = advance(q, q->stray, 1);
	return 0;
}

/*
 * An interrupt came, and there was nothing to take. In a packed ring the device may have used a
 * descriptor out of its turn: the first such one is recorded, as pykit_ring_trace_stray() does.
 */
static __noinline int stray_interrupt(struct queue *q, u32 irq)
{
	u16 skipped = q->last_slots ? q->last_slots - 1 : 0;
	struct stray s = { .q = q, .next = q->last_used };

	trace_stray(q, irq);
	if (!q->packed)
		return 0;
	q->stray = advance(q, s.next, q->size - skipped) ^ WRAP;
	bpf_loop(q->size, each_stray, &s, 0);
	return 0;
}

#endif /* RECORD_USED_H */
