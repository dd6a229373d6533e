/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chains that are made available.
 */
#ifndef RECORD_ADD_H
#define RECORD_ADD_H

#define SG_CHAIN	1UL
#define SG_END		2UL
/* The longest list of buffers that is counted. */
#define MAX_BUFFERS	8192

#define ENOSPC		28

/*
 * Where a walk is stands with the queue and not on the stack: of what it finds there the
 * verifier knows nothing, else it would follow each round of the loop.
 */
struct walk {
	struct queue *q;
};

/* Take one step over the scatterlists. Returns whether it came to a buffer. */
static __always_inline bool next_buffer(struct buffers *b, u32 *length)
{
	u64 entry[3] = {};

	if (!b->sg) {
		if (b->next >= b->count)
			b->end = 1;
		else
			READ(b->sg, b->lists + 8ULL * b->next);
		b->next++;
		return false;
	}
	if (READ(entry, b->sg)) {
		b->end = 1;
		return false;
	}
	if (entry[0] & SG_CHAIN) {
		b->sg = entry[0] & ~(SG_CHAIN | SG_END);
		return false;
	}
	*length = *(u32 *)((void *)entry + PLACE(scatterlist, length));
	b->sg = entry[0] & SG_END ? 0 : b->sg + bpf_core_type_size(struct scatterlist);
	return true;
}

static long each_buffer(u32 n, struct walk *w)
{
	struct buffers *b = &w->q->buffers;
	u32 length;

	if (!next_buffer(b, &length))
		return b->end ? 1 : 0;
	b->total++;
	if (b->next <= b->out)
		b->readable += length;
	else
		b->writable += length;
	return 0;
}

/* Note what the core was asked for behind the descriptors of the ring. */
static long each_length(u32 n, struct walk *w)
{
	struct buffers *b = &w->q->buffers;
	struct raw_desc *d;
	u32 length, at;

	if (!next_buffer(b, &length))
		return b->end ? 1 : 0;
	at = b->total;
	if (at >= MAX_DESCS)
		return 1;
	d = &w->q->chain.descs[at];
	d->len = length;
	d->flags = b->next <= b->out ? 0 : F_WRITE;
	b->total++;
	return 0;
}

static __always_inline void begin_buffers(struct queue *q, u32 total)
{
	struct buffers *b = &q->buffers;

	b->sg = b->first;
	b->next = b->first ? 1 : 0;
	b->total = total;
	b->readable = 0;
	b->writable = 0;
	b->end = 0;
}

/* The driver is about to add: lists of buffers, or one that begins at sg. */
static __noinline int before_add(u64 vq, u64 lists, u64 sg, u32 out, u32 in)
{
	struct queue *q = enter_queue(vq);
	struct walk w = { .q = q };

	if (!q)
		return 0;
	begins(&q->adding);
	q->before = bpf_ktime_get_ns();
	q->num_free = MEMBER(vring_virtqueue, vq, vq.num_free);
	q->first = q->next_avail;
	q->add_head = MEMBER(vring_virtqueue, vq, free_head);
	q->notified = 0;
	q->buffers.lists = lists;
	q->buffers.first = sg;
	q->buffers.out = out;
	q->buffers.count = out + in;
	begin_buffers(q, 0);
	bpf_loop(MAX_BUFFERS, each_buffer, &w, 0);
	q->total = q->buffers.total;
	q->slots = q->indirect ? 1 : q->total;
	return read_event(q, &q->add_event, &q->add_flags);
}

static long each_ring_desc(u32 n, struct walk *w)
{
	struct queue *q = w->q;
	struct raw_desc *d;

	if (n >= MAX_DESCS || q->walk_slot >= q->size)
		return 1;
	d = &q->chain.descs[n];
	if (bpf_probe_read_kernel(d, sizeof(*d), (void *)(q->desc + 16ULL * q->walk_slot)))
		return 1;
	q->chain.ring = n + 1;
	q->walk_slot = d->next;
	q->walk_indirect = d->flags & F_INDIRECT;
	return d->flags & F_INDIRECT || !(d->flags & F_NEXT) ? 1 : 0;
}

/* How many of a table's descriptors its chain has: they stand behind the ring's one. */
static long each_table_desc(u32 n, struct walk *w)
{
	struct queue *q = w->q;
	u32 at = q->walk_slot + 1;
	struct raw_desc *d;

	if (q->walk_slot >= q->chain.table || at >= MAX_DESCS)
		return 1;
	d = &q->chain.descs[at];
	q->chain.walked++;
	q->walk_slot = d->next;
	return d->flags & F_NEXT ? 0 : 1;
}

static __noinline int walk_table(struct queue *q, u16 head)
{
	struct walk w = { .q = q };
	u64 state, table, bytes;
	u32 count = q->chain.descs[0].len / sizeof(struct raw_desc);

	/* The device may have written another length there. */
	if (q->packed)
		count = q->total;
	state = q->states + (u64)head * (q->packed ?
		bpf_core_type_size(struct vring_desc_state_packed) :
		bpf_core_type_size(struct vring_desc_state_split));
	table = q->packed ? MEMBER(vring_desc_state_packed, state, indir_desc) :
			    MEMBER(vring_desc_state_split, state, indir_desc);
	if (!table)
		return 0;
	if (count > q->size + 1)
		count = q->size + 1;
	if (count > MAX_DESCS - 1) {
		lose(LOST_LONG, 1);
		count = MAX_DESCS - 1;
	}
	bytes = count * sizeof(struct raw_desc);
	barrier_var(bytes);
	if (bytes > (MAX_DESCS - 1) * sizeof(struct raw_desc))
		return 0;
	if (bpf_probe_read_kernel(&q->chain.descs[1], bytes, (void *)table)) {
		lose(LOST_READS, 1);
		return 0;
	}
	q->chain.table = count;
	if (q->packed) {
		q->chain.walked = count;
		return 0;
	}
	q->walk_slot = 0;
	bpf_loop(MAX_DESCS, each_table_desc, &w, 0);
	return 0;
}

static __noinline int walk_split(struct queue *q, u16 head)
{
	struct walk w = { .q = q };

	q->walk_slot = head;
	q->walk_indirect = 0;
	bpf_loop(q->size + 1, each_ring_desc, &w, 0);
	if (!q->chain.ring || (q->chain.ring > 1 && q->walk_indirect) || q->size > MAX_DESCS)
		lose(LOST_READS, 1);
	if (q->chain.ring == 1 && q->walk_indirect)
		return walk_table(q, head);
	return 0;
}

static long each_packed_desc(u32 n, struct walk *w)
{
	struct queue *q = w->q;
	u16 pos = advance(q, q->first, n);
	u16 avail = pos & WRAP ? F_AVAIL : F_USED;
	struct raw_desc *d;

	if (n >= MAX_DESCS || n >= q->chain.add.slots)
		return 1;
	d = &q->chain.descs[n];
	if (bpf_probe_read_kernel(d, sizeof(*d), (void *)(q->desc + 16ULL * (pos & ~WRAP))))
		return 1;
	q->chain.ring = n + 1;
	if ((d->next & (F_AVAIL | F_USED)) != avail)
		q->walk_overwritten = 1;
	return 0;
}

/* The buffer id of a new chain: no older one has it. */
static __noinline int packed_head(struct queue *q, u16 slots)
{
	u32 last = q->chain.ring - 1;
	u16 id;

	if (last >= MAX_DESCS)
		return 0xffff;
	id = q->chain.descs[last].flags;
	if (id >= q->size || id >= MAX_DESCS || q->outstanding[id])
		return 0xffff;
	q->outstanding[id] = slots;
	return id;
}

static __noinline int walk_packed(struct queue *q)
{
	struct walk w = { .q = q };
	u32 slots = q->chain.add.slots;

	q->walk_overwritten = 0;
	bpf_loop(MAX_DESCS, each_packed_desc, &w, 0);
	if (q->chain.ring != slots)
		lose(LOST_READS, 1);
	q->chain.add.head = packed_head(q, slots);
	if (q->chain.add.indirect)
		return walk_table(q, q->add_head);
	if (!q->walk_overwritten)
		return 0;
	begin_buffers(q, q->chain.ring);
	bpf_loop(MAX_BUFFERS, each_length, &w, 0);
	q->chain.table = q->buffers.total - q->chain.ring;
	if (q->chain.table != slots)
		lose(LOST_LONG, 1);
	return 0;
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
	add->indirect = slots < q->total;
	q->chain.packed = q->packed;
	q->chain.size = q->size;
	q->chain.first = q->first;
	q->chain.ring = 0;
	q->chain.table = 0;
	q->chain.walked = 0;
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
	return trace_chain(q);
}

#endif /* RECORD_ADD_H */
