// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random rings that are not as they should be. Whatever the device does with one,
 * it writes nothing but what the chain has for it and the used ring, and serves
 * the next one.
 *
 * Each ring holds one chain. It begins as a good request and is spoilt in one of
 * several ways, or consists of random descriptors altogether.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost_ring.h"

#define BUS		0x100000
#define DISK_BYTES	0x100000
#define BUFFERS		(2 * PAGE)
#define ENTRIES		16

/*
 * What the device may reach, with pages of this process around it that it may
 * not; the last one of its own is in its table, but not mapped.
 */
struct arena {
	__u8 before[PAGE];
	struct {
		struct rings rings;
		struct le_desc table[PAGE / sizeof(struct le_desc)];
		__u8 buffers[BUFFERS];
		__u8 hole[PAGE];
	} shared;
	__u8 after[PAGE];
};

enum outcome { SERVED, FAILED, REFUSED, UNSEEN, OUTCOMES };

static const char *const outcome_names[] = {
	[SERVED] = "served", [FAILED] = "failed", [REFUSED] = "refused",
	[UNSEEN] = "not looked at",
};

static struct arena *arena, *copy;
static int dev, kick_fd, call_fd, error_fd;
static __u64 state;

/* What may have been written, by byte of the buffers. */
static __u8 allowed[BUFFERS];

/* xorshift64*: the same everywhere. */
static __u32 draw(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717ULL >> 32;
}

static __u32 below(__u32 limit)
{
	return draw() % limit;
}

static __u64 bus(const void *at)
{
	return BUS + ((const char *)at - (const char *)&arena->shared);
}

static void put(struct le_desc *desc, __u64 addr, __u32 len, __u16 flags, __u16 next)
{
	*desc = (struct le_desc){ addr, len, flags, next };
}

/* A good request in the first descriptors of a table; returns how many. */
static unsigned int good_request(struct le_desc *table)
{
	static const __u32 types[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
		VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
	};
	struct le_blk_hdr hdr = { .type = types[below(6)] };
	struct le_blk_range range = { .num_sectors = 1 + below(8) };
	__u16 flags = hdr.type == VIRTIO_BLK_T_IN || hdr.type == VIRTIO_BLK_T_GET_ID ?
		VRING_DESC_F_WRITE : 0;
	__u8 *at = arena->shared.buffers;
	unsigned int n = 0, parts, i;
	__u32 len = SECTOR;

	hdr.sector = below(DISK_BYTES / SECTOR - 8);
	memcpy(at, &hdr, sizeof(hdr));
	put(&table[n], bus(at), sizeof(hdr), VRING_DESC_F_NEXT, n + 1);
	n++;
	at += sizeof(hdr);
	if (hdr.type == VIRTIO_BLK_T_GET_ID)
		len = VIRTIO_BLK_ID_BYTES;
	else if (hdr.type >= VIRTIO_BLK_T_DISCARD)
		len = sizeof(struct le_blk_range);
	parts = hdr.type == VIRTIO_BLK_T_FLUSH ? 0 : 1 + below(3);
	for (i = 0; i < parts; i++) {
		put(&table[n], bus(at), len, VRING_DESC_F_NEXT | flags, n + 1);
		n++;
		range.sector = below(DISK_BYTES / SECTOR - 8);
		if (hdr.type >= VIRTIO_BLK_T_DISCARD)
			memcpy(at, &range, sizeof(range));
		at += len;
	}
	put(&table[n++], bus(at), 1, VRING_DESC_F_WRITE, 0);
	return n;
}

static __u64 some_addr(void)
{
	switch (below(8)) {
	case 0:
		return bus(&arena->after) + below(PAGE);
	case 1:
		return BUS - 1 - below(PAGE);
	case 2:
		return bus(arena->shared.hole) + below(PAGE);
	case 3:
		return ~0ULL - below(PAGE);
	case 4:
		return (__u64)draw() << 32 | draw();
	default:
		return bus(arena->shared.buffers) + below(BUFFERS);
	}
}

static __u32 some_len(void)
{
	switch (below(6)) {
	case 0:
		return 0;
	case 1:
		return draw();
	case 2:
		return 0xffffffff - below(PAGE);
	default:
		return 1 + below(2 * SECTOR);
	}
}

/* The ways to spoil a table of @n descriptors that is @size long. */

static void spoil_nothing(struct le_desc *table, unsigned int n, unsigned int size)
{
}

static void spoil_loop(struct le_desc *table, unsigned int n, unsigned int size)
{
	table[n - 1].flags |= VRING_DESC_F_NEXT;
	table[n - 1].next = below(n);
}

static void spoil_next(struct le_desc *table, unsigned int n, unsigned int size)
{
	unsigned int i = below(n);

	table[i].flags |= VRING_DESC_F_NEXT;
	table[i].next = size + below(65536 - size);
}

static void spoil_addr(struct le_desc *table, unsigned int n, unsigned int size)
{
	table[below(n)].addr = some_addr();
}

static void spoil_len(struct le_desc *table, unsigned int n, unsigned int size)
{
	table[below(n)].len = some_len();
}

static void spoil_flags(struct le_desc *table, unsigned int n, unsigned int size)
{
	table[below(n)].flags ^= 1 << below(3);
}

static void spoil_order(struct le_desc *table, unsigned int n, unsigned int size)
{
	table[0].flags |= VRING_DESC_F_WRITE;
	table[n - 1].flags &= ~VRING_DESC_F_WRITE;
}

static void spoil_status(struct le_desc *table, unsigned int n, unsigned int size)
{
	table[n - 2].flags &= ~VRING_DESC_F_NEXT;
}

static void spoil_header(struct le_desc *table, unsigned int n, unsigned int size)
{
	__u8 *hdr = arena->shared.buffers;
	unsigned int i;

	for (i = 0; i < sizeof(struct le_blk_hdr); i++)
		hdr[i] = draw();
	table[0].len = below(24);
}

static void spoil_hole(struct le_desc *table, unsigned int n, unsigned int size)
{
	table[below(n)].addr = bus(arena->shared.hole) - below(64);
}

/* Most of it possible, so that some chains get far. */
static void spoil_all(struct le_desc *table, unsigned int n, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		put(&table[i],
		    below(8) ? bus(arena->shared.buffers) + below(BUFFERS / 2) : some_addr(),
		    below(8) ? 1 + below(2 * SECTOR) : some_len(),
		    below(8) ? below(4) : below(8), below(ENTRIES + (n & 1)));
}

static const struct {
	const char *name;
	void (*spoil)(struct le_desc *table, unsigned int n, unsigned int size);
} kinds[] = {
	{ "good", spoil_nothing },
	{ "loop", spoil_loop },
	{ "next", spoil_next },
	{ "address", spoil_addr },
	{ "length", spoil_len },
	{ "flags", spoil_flags },
	{ "order", spoil_order },
	{ "no status", spoil_status },
	{ "header", spoil_header },
	{ "hole", spoil_hole },
	{ "random", spoil_all },
	/* The table is as it should be, what leads to it is not. */
	{ "head", NULL },
	{ "index", NULL },
	{ "indirect", NULL },
};

#define KINDS ARRAY_SIZE(kinds)

/* Make a ring of a kind; the chain's head is returned. */
static __u16 make_ring(unsigned int kind)
{
	struct rings *rings = &arena->shared.rings;
	bool spoilt_indirect = !strcmp(kinds[kind].name, "indirect");
	bool indirect = spoilt_indirect || below(3) == 0;
	struct le_desc *table = indirect ? arena->shared.table : rings->desc;
	unsigned int n = good_request(table);

	if (kinds[kind].spoil)
		kinds[kind].spoil(table, n, indirect ? n : QUEUE_SIZE);
	if (indirect)
		put(rings->desc, bus(table), n * sizeof(*table), VRING_DESC_F_INDIRECT, 0);
	if (spoilt_indirect)
		switch (below(4)) {
		case 0:
			rings->desc[0].len = some_len();
			break;
		case 1:
			rings->desc[0].addr = some_addr();
			break;
		case 2:
			rings->desc[0].flags |= VRING_DESC_F_NEXT | VRING_DESC_F_WRITE;
			break;
		default:
			table[below(n)].flags |= VRING_DESC_F_INDIRECT;
			break;
		}
	if (!strcmp(kinds[kind].name, "head"))
		return QUEUE_SIZE + below(65536 - QUEUE_SIZE);
	return 0;
}

/* Everything that a descriptor offers for writing, wherever it stands. */
static void allow(const struct le_desc *table, unsigned int n)
{
	__u64 low = bus(arena->shared.buffers), high = low + BUFFERS;
	__u64 from, to;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!(table[i].flags & VRING_DESC_F_WRITE) || table[i].addr >= high)
			continue;
		from = table[i].addr < low ? low : table[i].addr;
		to = table[i].addr + table[i].len;
		/* A buffer that wraps ends beyond all others. */
		if (to > high || to < table[i].addr)
			to = high;
		if (from < to)
			memset(allowed + (from - low), 1, to - from);
	}
}

static const char *trespass(void)
{
	const struct rings *rings = &arena->shared.rings;
	const struct rings *before = &copy->shared.rings;
	unsigned int i;

	if (memcmp(arena->before, copy->before, PAGE) ||
	    memcmp(arena->after, copy->after, PAGE))
		return "memory that it has no table for";
	if (memcmp(rings->desc_page, before->desc_page, PAGE) ||
	    memcmp(rings->avail_page, before->avail_page, PAGE) ||
	    memcmp(arena->shared.table, copy->shared.table, sizeof(copy->shared.table)))
		return "what the driver owns of the ring";
	if (memcmp(&rings->used_ring[1], &before->used_ring[1],
		   sizeof(rings->used_ring) - sizeof(rings->used_ring[0])))
		return "used entries that are none";
	for (i = 0; i < BUFFERS; i++)
		if (arena->shared.buffers[i] != copy->shared.buffers[i] && !allowed[i])
			return "a buffer that is not for writing";
	return NULL;
}

/*
 * The status byte of a chain that was returned: the last one for writing. Linux
 * takes an indirect table's entries as they stand, wherever they lead.
 */
static __u8 status_of_chain(void)
{
	const struct le_desc *ring = copy->shared.rings.desc, *desc = ring;
	__u64 at = 0, low = bus(arena->shared.buffers);
	unsigned int i = 0, steps;

	for (steps = 0; steps < QUEUE_SIZE && i < QUEUE_SIZE; steps++) {
		if (desc == ring && desc[i].flags & VRING_DESC_F_INDIRECT) {
			desc = copy->shared.table;
			i = 0;
		}
		if (desc[i].flags & VRING_DESC_F_WRITE && desc[i].len)
			at = desc[i].addr + desc[i].len - 1;
		if (!(desc[i].flags & VRING_DESC_F_NEXT))
			break;
		i = desc == ring ? desc[i].next : i + 1;
	}
	return at - low < BUFFERS ? arena->shared.buffers[at - low] : 0xff;
}

static bool drained(int fd)
{
	__u64 count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

/* Let the device have the ring, and see what it made of it. */
static enum outcome serve(unsigned long number, unsigned int kind)
{
	struct vhost_vring_state base = {};
	__u64 bytes = DISK_BYTES;
	const char *where;
	__u16 used;
	bool error;

	must(ioctl(dev, VHOST_SET_VRING_BASE, &base), "VHOST_SET_VRING_BASE");
	must(ioctl(dev, PYKIT_VHOST_START, &bytes), "PYKIT_VHOST_START");
	/* This one waits for the worker; what it says is of before. */
	must(ioctl(dev, VHOST_GET_VRING_BASE, &base), "VHOST_GET_VRING_BASE");
	must(ioctl(dev, PYKIT_VHOST_STOP), "PYKIT_VHOST_STOP");
	must(ioctl(dev, VHOST_GET_VRING_BASE, &base), "VHOST_GET_VRING_BASE");
	used = le16toh(arena->shared.rings.used.idx);
	error = drained(error_fd);
	where = trespass();
	if (where)
		fail("ring %lu (%s): the device wrote to %s", number, kinds[kind].name, where);
	if (base.num != used || used > 1 || drained(call_fd) != used)
		fail("ring %lu (%s): %u taken, %u returned", number, kinds[kind].name,
		     base.num, used);
	if (used && arena->shared.rings.used_ring[0].id)
		fail("ring %lu (%s): used id %u", number, kinds[kind].name,
		     arena->shared.rings.used_ring[0].id);
	if (!used)
		return error ? REFUSED : UNSEEN;
	return error || status_of_chain() != VIRTIO_BLK_S_OK ? FAILED : SERVED;
}

static void set_up(void)
{
	struct vhost_vring_file error = {};
	__u64 features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
		1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_DISCARD |
		1ULL << VIRTIO_BLK_F_WRITE_ZEROES;

	arena = map(sizeof(*arena));
	copy = map(sizeof(*copy));
	must(mprotect(arena->shared.hole, PAGE, PROT_NONE), "mprotect");
	dev = open_device(PYKIT_VHOST_DEV);
	kick_fd = eventfd(0, EFD_NONBLOCK);
	call_fd = eventfd(0, EFD_NONBLOCK);
	error_fd = eventfd(0, EFD_NONBLOCK);
	error.fd = error_fd;
	must(ioctl(dev, VHOST_SET_OWNER), "VHOST_SET_OWNER");
	must(set_memory(dev, BUS, &arena->shared, sizeof(arena->shared)),
	     "VHOST_SET_MEM_TABLE");
	must(set_features(dev, features), "VHOST_SET_FEATURES");
	must(set_rings(dev, 0, (uintptr_t)arena->shared.rings.desc,
		       (uintptr_t)&arena->shared.rings.avail,
		       (uintptr_t)&arena->shared.rings.used, 0), "rings");
	must(set_kick(dev, 0, kick_fd, call_fd), "eventfds");
	must(ioctl(dev, VHOST_SET_VRING_ERR, &error), "VHOST_SET_VRING_ERR");
}

static void fresh(void)
{
	__u32 *word = (__u32 *)arena->shared.buffers;
	unsigned int i;

	memset(arena, 0x5a, PAGE);
	memset(arena->after, 0x5a, PAGE);
	memset(&arena->shared.rings, 0, sizeof(arena->shared.rings));
	memset(arena->shared.table, 0, sizeof(arena->shared.table));
	for (i = 0; i < BUFFERS / sizeof(*word); i++)
		word[i] = 0xc0ffee00 + i;
	memset(allowed, 0, sizeof(allowed));
}

/* So many rings; 0 if the device kept to what they allow. */
int run_malformed(unsigned long count, unsigned int seed)
{
	unsigned long seen[KINDS][OUTCOMES] = {};
	unsigned long number;
	unsigned int kind, i;

	state = seed + 0x9e3779b97f4a7c15ULL;
	set_up();
	for (number = 0; number < count; number++) {
		struct rings *rings = &arena->shared.rings;

		fresh();
		kind = below(KINDS);
		rings->avail_ring[0] = htole16(make_ring(kind));
		rings->avail.idx = htole16(strcmp(kinds[kind].name, "index") ?
					   1 : QUEUE_SIZE + 1 + below(65535 - QUEUE_SIZE));
		allow(rings->desc, QUEUE_SIZE);
		allow(arena->shared.table, PAGE / sizeof(struct le_desc));
		memcpy(copy, arena, offsetof(struct arena, shared.hole));
		memcpy(copy->after, arena->after, PAGE);
		seen[kind][serve(number, kind)]++;
	}
	for (kind = 0; kind < KINDS; kind++) {
		printf("vhost-ring: %-9s", kinds[kind].name);
		for (i = 0; i < OUTCOMES; i++)
			printf(" %s %lu%s", outcome_names[i], seen[kind][i],
			       i + 1 < OUTCOMES ? "," : "\n");
	}
	if (seen[0][REFUSED] + seen[0][FAILED] + seen[0][UNSEEN])
		fail("good rings were refused");
	printf("vhost-ring: %lu rings, seed %u, nothing written where it must not be, ok\n",
	       count, seed);
	return 0;
}
