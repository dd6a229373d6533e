/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chains as they stand in memory: walked into the record of the queue, and summed up.
 */
#ifndef RECORD_WALK_H
#define RECORD_WALK_H

#define HEAD_UNKNOWN	0xffff

static __always_inline void begin_sums(struct queue *q)
{
	__builtin_memset(&q->sums, 0, sizeof(q->sums));
}

/* Go on with a descriptor; its slot is in the sum, so that the way of a walk counts. */
static __always_inline void sum_desc(struct queue *q, const struct raw_desc *d, u32 slot, u16 flags,
				     u32 len)
{
	struct sums *s = &q->sums;
	u64 hash = s->hash;

	/* Odd constants: what differs in one bit stays different. */
	hash = (hash ^ d->addr) * 0x9e3779b97f4a7c15ULL;
	hash ^= hash >> 29;
	hash ^= (u64)d->len << 32 | (u32)d->flags << 16 | d->next;
	hash = (hash ^ (u64)slot << 24) * 0xbf58476d1ce4e5b9ULL;
	s->hash = hash ^ hash >> 32;
	if (flags & F_INDIRECT)
		return;
	if (!s->count++)
		s->first = d->addr;
	if (flags & F_WRITE) {
		s->writable += len;
		s->last = d->addr + len - 1;
	} else {
		s->readable += len;
	}
}

/* The sum of what was walked: 0 is none. */
static __always_inline u32 folded(const struct queue *q)
{
	return (u32)q->sums.hash ?: 1;
}

static long each_ring_desc(u32 n, struct walk *w)
{
	struct queue *q = w->q;
	u32 slot = q->walk_slot;
	struct raw_desc *d;

	if (n >= MAX_DESCS || slot >= q->size)
		return 1;
	d = &q->chain.descs[n];
	if (bpf_probe_read_kernel(d, sizeof(*d), (void *)(q->desc + 16ULL * slot)))
		return 1;
	sum_desc(q, d, slot, d->flags, d->len);
	q->chain.ring = n + 1;
	q->walk_slot = d->next;
	q->walk_indirect = d->flags & F_INDIRECT;
	return d->flags & F_INDIRECT || !(d->flags & F_NEXT) ? 1 : 0;
}

/* How many of a table's descriptors its chain has: they stand behind the ring's one. */
static long each_table_desc(u32 n, struct walk *w)
{
	struct queue *q = w->q;
	u32 slot = q->walk_slot, at = slot + 1;
	struct raw_desc *d;

	if (slot >= q->chain.table || at >= MAX_DESCS)
		return 1;
	d = &q->chain.descs[at];
	sum_desc(q, d, slot, d->flags & ~F_INDIRECT, d->len);
	q->chain.walked++;
	q->walk_slot = d->next;
	return d->flags & F_NEXT ? 0 : 1;
}

/* A packed table has no other order than that of its places; the two last fields are swapped. */
static long each_packed_table_desc(u32 n, struct walk *w)
{
	struct raw_desc *d;
	u32 at = n + 1;

	if (at >= MAX_DESCS)
		return 1;
	d = &w->q->chain.descs[at];
	sum_desc(w->q, d, n, d->next & F_WRITE, d->len);
	return 0;
}

/* Read the table of a head or buffer id; its descriptors stand behind the ring's one. */
static __noinline int walk_table(struct queue *q, u16 head, u32 count)
{
	struct walk w = { .q = q };
	u64 state, table, bytes;

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
		q->walk_lost = LOST_LONG;
		count = MAX_DESCS - 1;
	}
	bytes = count * sizeof(struct raw_desc);
	barrier_var(bytes);
	if (bytes > (MAX_DESCS - 1) * sizeof(struct raw_desc))
		return 0;
	if (bpf_probe_read_kernel(&q->chain.descs[1], bytes, (void *)table)) {
		q->walk_lost = LOST_READS;
		return 0;
	}
	q->chain.table = count;
	if (q->packed) {
		q->chain.walked = count;
		bpf_loop(count, each_packed_table_desc, &w, 0);
		return 0;
	}
	q->walk_slot = 0;
	bpf_loop(MAX_DESCS, each_table_desc, &w, 0);
	return 0;
}

static __always_inline void begin_walk(struct queue *q)
{
	q->chain.ring = 0;
	q->chain.table = 0;
	q->chain.walked = 0;
	q->walk_lost = 0;
	q->walk_overwritten = 0;
	begin_sums(q);
}

static __noinline int walk_split(struct queue *q, u16 head)
{
	struct walk w = { .q = q };

	begin_walk(q);
	q->walk_slot = head;
	q->walk_indirect = 0;
	bpf_loop(q->size + 1, each_ring_desc, &w, 0);
	if (!q->chain.ring || (q->chain.ring > 1 && q->walk_indirect) || q->size > MAX_DESCS)
		q->walk_lost = LOST_READS;
	if (q->chain.ring == 1 && q->walk_indirect)
		return walk_table(q, head, q->chain.descs[0].len / sizeof(struct raw_desc));
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

/* The sum of a packed chain in the ring: where it was overwritten, what the core was asked for. */
static long each_packed_sum(u32 n, struct walk *w)
{
	struct queue *q = w->q;
	u16 pos = advance(q, q->first, n);
	u16 avail = pos & WRAP ? F_AVAIL : F_USED;
	u32 behind = q->chain.ring + n;
	struct raw_desc *d;

	if (n >= MAX_DESCS)
		return 1;
	d = &q->chain.descs[n];
	if ((d->next & (F_AVAIL | F_USED)) == avail)
		sum_desc(q, d, n, d->next & F_WRITE, d->len);
	else if (behind < MAX_DESCS)
		sum_desc(q, d, n, q->chain.descs[behind].flags, q->chain.descs[behind].len);
	return 0;
}

/* The buffer id of a new chain: no older one has it. */
static __noinline int packed_head(struct queue *q, u16 slots)
{
	u32 last = q->chain.ring - 1;
	u16 id;

	if (last >= MAX_DESCS)
		return HEAD_UNKNOWN;
	id = q->chain.descs[last].flags;
	if (id >= q->size || id >= MAX_DESCS || q->outstanding[id])
		return HEAD_UNKNOWN;
	q->outstanding[id] = slots;
	return id;
}

static __noinline int walk_packed(struct queue *q)
{
	struct walk w = { .q = q };
	u32 slots = q->chain.add.slots;

	begin_walk(q);
	bpf_loop(MAX_DESCS, each_packed_desc, &w, 0);
	if (q->chain.ring != slots)
		q->walk_lost = LOST_READS;
	q->chain.add.head = packed_head(q, slots);
	if (q->chain.add.indirect)
		/* The device may have written another length into the ring. */
		return walk_table(q, q->add_head, q->total);
	if (q->walk_overwritten) {
		begin_buffers(q, q->chain.ring);
		bpf_loop(MAX_BUFFERS, each_length, &w, 0);
		q->chain.table = q->buffers.total - q->chain.ring;
		if (q->chain.table != slots)
			q->walk_lost = LOST_LONG;
	}
	if (q->blk)
		bpf_loop(q->chain.ring, each_packed_sum, &w, 0);
	return 0;
}

#endif /* RECORD_WALK_H */
