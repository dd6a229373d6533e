/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chains that are made available.
 */
#ifndef RECORD_ADD_H
#define RECORD_ADD_H

/* The driver is about to add: lists of buffers, or one that begins at sg. */
static __noinline int before_add(u64 vq, u64 lists, u64 sg, u32 out, u32 in)
{
	struct queue *q = enter_queue(vq);

	if (!q)
		return 0;
	begins(&q->adding);
	trace_back(q);
	q->before = bpf_ktime_get_ns();
	q->num_free = MEMBER(vring_virtqueue, vq, vq.num_free);
	q->add_used_idx = used_idx(q);
	q->first = q->next_avail;
	q->add_head = MEMBER(vring_virtqueue, vq, free_head);
	q->notified = 0;
	q->buffers.lists = lists;
	q->buffers.first = sg;
	q->buffers.out = out;
	q->buffers.count = out + in;
	note_buffers(q);
	read_opening(q);
	q->total = q->buffers.total;
	q->slots = q->indirect ? 1 : q->total;
	return read_event(q, &q->add_event, &q->add_flags);
}

static __noinline int trace_chain(struct queue *q)
{
	u32 n = q->chain.ring + q->chain.table;
	u32 events = 1 + q->chain.ring + q->chain.walked;
	u64 bytes;

	if (q->packed)
		events += q->chain.ring;
	q->chain.add.seq = __sync_fetch_and_add(&q->seq, events) + 1;
	q->chain.add.dev = q->dev;
	q->chain.add.vq = q->index;
	q->chain.add.by = BY_RECORD;
	/* A walk that could not begin has no descriptor, not even the table's. */
	q->chain.add.chain = q->chain.ring + q->chain.walked;
	if (q->chain.add.indirect && q->chain.add.chain)
		q->chain.add.chain--;
	fill_head(&q->chain.h, KIND_CHAIN);
	bytes = offsetof(struct chain, descs) + n * sizeof(struct raw_desc);
	/* The verifier has to see the bound of what is passed on. */
	barrier_var(bytes);
	if (bytes > sizeof(struct chain))
		return 0;
	if (bpf_ringbuf_output(&records, &q->chain, bytes, 0))
		lose(LOST_FULL, events);
	return 0;
}

static __noinline int add_failed(struct queue *q, s32 err)
{
	struct ev_add_failed *e = RESERVE_VQ(add_failed, q);
	u8 notified = q->notified;

	if (e) {
		e->err = err;
		e->chain = q->total;
		e->num_free = MEMBER(vring_virtqueue, q->vq, vq.num_free);
		e->slots = q->slots;
		e->old = q->kick_idx;
		e->new = q->next_avail;
		e->event = q->add_event;
		e->flags = q->add_flags;
		read_event(q, &e->event_after, &e->flags_after);
		e->event_idx = q->event_idx;
		e->notified = notified;
		SUBMIT(e);
	}
	if (notified)
		trace_notify(q);
	return 0;
}

/* What a device that is no block device reads first. */
static __noinline int trace_opening(struct queue *q)
{
	struct ev_opening *e;

	if (!q->got)
		return 0;
	e = RESERVE_VQ(opening, q);
	if (!e)
		return 0;
	e->first = q->opening[0];
	e->second = q->opening[1];
	e->third = q->opening[2];
	e->head = q->chain.add.head;
	e->got = q->got;
	SUBMIT(e);
	return 0;
}

static __noinline int after_add(u64 vq, s32 err)
{
	struct queue *q = find_queue(vq);
	u32 num_free, slots;
	struct ev_add *add;

	if (!q || !ends(&q->adding))
		return 0;
	if (err)
		return add_failed(q, err);
	add = &q->chain.add;
	num_free = MEMBER(vring_virtqueue, vq, vq.num_free);
	slots = q->num_free - num_free;
	/* A core that miscounts must not lead out of the ring. */
	if (!slots || slots > q->size)
		slots = q->slots < q->size ? q->slots : q->size;
	add->before = q->before;
	add->readable = q->buffers.readable;
	add->writable = q->buffers.writable;
	add->num_free = num_free;
	add->slots = slots;
	add->used_idx = q->add_used_idx;
	add->indirect = slots < q->total;
	q->chain.packed = q->packed;
	q->chain.size = q->size;
	q->chain.first = q->first;
	if (q->packed) {
		q->next_avail = advance(q, q->first, slots);
		add->avail_idx = q->next_avail;
		walk_packed(q);
	} else {
		READ(add->head, q->avail + 4 + 2ULL * (q->first & (q->size - 1)));
		READ(add->avail_idx, q->avail + 2);
		q->next_avail = q->first + 1;
		walk_split(q, add->head);
	}
	if (q->walk_lost)
		lose(q->walk_lost, 1);
	hold_chain(q);
	trace_chain(q);
	return q->blk ? start_request(q) : trace_opening(q);
}

#endif /* RECORD_ADD_H */
