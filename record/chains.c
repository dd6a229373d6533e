// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the events of a chain: those that the probe has of it, in the same order.
 */
#include <stddef.h>

#include "chains.h"

#define F_NEXT		1
#define F_WRITE		2
#define F_INDIRECT	4
#define F_AVAIL		0x80
#define F_USED		0x8000
#define WRAP		0x8000

/* What is being made. */
struct making {
	struct dat *dat;
	const struct chain *chain;
	u32 seq;
	u16 pos;
};

static int make_desc(struct making *m, const struct raw_desc *d, u16 slot, u16 flags, u16 next,
		     u8 table)
{
	struct ev_desc e = {
		.addr = d->addr,
		.dev = m->chain->add.dev,
		.seq = m->seq++,
		.len = d->len,
		.vq = m->chain->add.vq,
		.head = m->chain->add.head,
		.slot = slot,
		.flags = flags,
		.next = next,
		.pos = m->pos++,
		.table = table,
		.by = BY_RECORD,
	};

	return dat_add(m->dat, &m->chain->h, KIND_desc, &e, sizeof(e));
}

static int make_add(struct making *m)
{
	struct ev_add e = m->chain->add;

	e.seq = m->seq++;
	return dat_add(m->dat, &m->chain->h, KIND_add, &e, sizeof(e));
}

static int make_split(struct making *m)
{
	const struct raw_desc *d = m->chain->descs, *table = d + m->chain->ring;
	u32 i, slot = m->chain->add.head;
	int err = make_add(m);

	for (i = 0; i < m->chain->ring && !err; i++) {
		err = make_desc(m, &d[i], slot, d[i].flags, d[i].next, 0);
		slot = d[i].next;
	}
	slot = 0;
	for (i = 0; i < m->chain->walked && slot < m->chain->table && !err; i++) {
		err = make_desc(m, &table[slot], slot, table[slot].flags, table[slot].next, 1);
		slot = table[slot].next;
	}
	return err;
}

static u16 place(const struct chain *chain, u32 size, u32 k)
{
	u32 slot = (chain->first & ~WRAP) + k;
	u16 wrap = chain->first & WRAP;

	return slot >= size ? (slot - size) | (wrap ^ WRAP) : slot | wrap;
}

/*
 * In a packed ring the device may have overwritten a descriptor: the event slot has it as it
 * stands there, the event desc what the driver wrote, as far as that is known.
 */
static int make_packed(struct making *m)
{
	const struct chain *chain = m->chain;
	const struct raw_desc *d = chain->descs, *more = d + chain->ring;
	u32 i;
	int err = 0;

	for (i = 0; i < chain->ring && !err; i++) {
		struct ev_slot e = {
			.addr = d[i].addr,
			.dev = chain->add.dev,
			.seq = m->seq++,
			.len = d[i].len,
			.vq = chain->add.vq,
			.head = chain->add.head,
			.slot = place(chain, chain->size, i) & ~WRAP,
			.id = d[i].flags,
			.flags = d[i].next,
			.pos = i,
			.by = BY_RECORD,
		};

		err = dat_add(m->dat, &chain->h, KIND_slot, &e, sizeof(e));
	}
	if (!err)
		err = make_add(m);
	for (i = 0; i < chain->ring && !err; i++) {
		u16 pos = place(chain, chain->size, i);
		u16 avail = pos & WRAP ? F_AVAIL : F_USED;
		struct raw_desc now = d[i];
		u16 flags = now.next;

		if ((flags & (F_AVAIL | F_USED)) != avail) {
			/* Overwritten: what the core was asked for. */
			if (chain->add.indirect) {
				flags = avail | F_INDIRECT;
				now.len = chain->table * sizeof(struct raw_desc);
			} else if (i < chain->table) {
				flags = avail | more[i].flags;
				flags |= i + 1 < chain->ring ? F_NEXT : 0;
				now.len = more[i].len;
			}
		}
		err = make_desc(m, &now, pos & ~WRAP, flags, chain->add.head, 0);
	}
	for (i = 0; chain->add.indirect && i < chain->table && !err; i++)
		err = make_desc(m, &more[i], i, more[i].next, more[i].flags, 1);
	return err;
}

/* Returns 0, or -1 for a file that cannot be written or a record that is too short. */
int chain_add(struct dat *dat, const struct chain *chain, u32 bytes)
{
	struct making m = { .dat = dat, .chain = chain, .seq = chain->add.seq };
	u32 n = chain->ring + chain->table;

	if (bytes < offsetof(struct chain, descs) + n * sizeof(struct raw_desc))
		return -1;
	return chain->packed ? make_packed(&m) : make_split(&m);
}
