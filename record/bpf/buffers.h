/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the core is asked to make available: scatterlists, and the memory behind them.
 */
#ifndef RECORD_BUFFERS_H
#define RECORD_BUFFERS_H

#define SG_CHAIN	1UL
#define SG_END		2UL
/* The longest list of buffers that is counted. */
#define MAX_BUFFERS	8192

#define PAGE_SHIFT	12

/*
 * Where a walk is stands with the queue and not on the stack: of what it finds there the
 * verifier knows nothing, else it would follow each round of the loop.
 */
struct walk {
	struct queue *q;
};

/* Take one step over the scatterlists. Returns whether it came to a buffer. */
static __always_inline bool next_buffer(struct queue *q, struct piece *piece)
{
	struct buffers *b = &q->buffers;
	u64 entry[3] = {}, page;

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
	page = entry[0] & ~(SG_CHAIN | SG_END);
	piece->len = *(u32 *)((void *)entry + PLACE(scatterlist, length));
	piece->at = 0;
	/* A list that its driver has mapped has no pages. */
	if (page)
		piece->at = q->direct + *(u32 *)((void *)entry + PLACE(scatterlist, offset)) +
			    ((page - q->pages) / bpf_core_type_size(struct page) << PAGE_SHIFT);
	b->sg = entry[0] & SG_END ? 0 : b->sg + bpf_core_type_size(struct scatterlist);
	return true;
}

static long each_buffer(u32 n, struct walk *w)
{
	struct buffers *b = &w->q->buffers;
	struct pieces *pieces = &w->q->pieces;
	struct piece piece;
	u32 at;

	if (!next_buffer(w->q, &piece))
		return b->end ? 1 : 0;
	at = b->total++;
	if (at < MAX_PIECES) {
		pieces->piece[at] = piece;
		pieces->count = at + 1;
		if (b->next <= b->out)
			pieces->outs = at + 1;
	}
	if (b->next <= b->out) {
		b->readable += piece.len;
	} else {
		b->writable += piece.len;
		b->last = piece.at ? piece.at + piece.len - 1 : 0;
	}
	return 0;
}

/* Note what the core was asked for behind the descriptors of the ring. */
static long each_length(u32 n, struct walk *w)
{
	struct buffers *b = &w->q->buffers;
	struct piece piece;
	struct raw_desc *d;
	u32 at;

	if (!next_buffer(w->q, &piece))
		return b->end ? 1 : 0;
	at = b->total;
	if (at >= MAX_DESCS)
		return 1;
	d = &w->q->chain.descs[at];
	d->len = piece.len;
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
	b->last = 0;
	b->readable = 0;
	b->writable = 0;
	b->end = 0;
}

/* Look at all that the core is asked for. */
static __noinline int note_buffers(struct queue *q)
{
	struct walk w = { .q = q };

	begin_buffers(q, 0);
	q->pieces.outs = 0;
	q->pieces.count = 0;
	bpf_loop(MAX_BUFFERS, each_buffer, &w, 0);
	q->pieces.writable = q->buffers.writable;
	return 0;
}

static long each_piece(u32 n, struct walk *w)
{
	struct reading *r = &w->q->reading;
	u32 at = r->next, done = r->done;
	struct piece *piece;
	u64 some;

	if (at >= MAX_PIECES || at >= r->end || done >= r->wanted || done >= MAX_READ)
		return 1;
	r->next = at + 1;
	piece = &w->q->pieces.piece[at];
	if (r->skip >= piece->len) {
		r->skip -= piece->len;
		return 0;
	}
	some = piece->len - r->skip;
	if (some > r->wanted - done)
		some = r->wanted - done;
	/* The verifier has to see the bounds of what is passed on. */
	barrier_var(some);
	if (some > MAX_READ || !piece->at ||
	    bpf_probe_read_kernel(&r->bytes[done], some, (void *)(piece->at + r->skip)))
		return 1;
	r->done = done + some;
	r->skip = 0;
	return 0;
}

/* Read from the buffers that were noted, at a place in them. Returns how much there was. */
static __noinline u32 read_pieces(struct queue *q, bool out, u64 skip, u32 wanted)
{
	struct reading *r = &q->reading;
	struct walk w = { .q = q };

	__builtin_memset(r->bytes, 0, sizeof(r->bytes));
	r->skip = skip;
	r->next = out ? 0 : q->pieces.outs;
	r->end = out ? q->pieces.outs : q->pieces.count;
	r->wanted = wanted;
	r->done = 0;
	bpf_loop(MAX_PIECES, each_piece, &w, 0);
	return r->done;
}

/* What the device is going to read first: its driver leaves it alone until it is back. */
static __noinline int read_opening(struct queue *q)
{
	q->got = read_pieces(q, true, 0, q->blk ? HEADER_BYTES : sizeof(q->opening));
	__builtin_memcpy(q->opening, q->reading.bytes, sizeof(q->opening));
	return 0;
}

#endif /* RECORD_BUFFERS_H */
