// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cases: a device that writes to rings what no device may write.
 *
 * Here the observer of a queue (pykit_ring.h) is called as our driver and the probe
 * call it, and the device writes in between: an id, an index or an address that the
 * observer must neither index by nor follow.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <pykit_ring.h>

#include "selftest.h"

/* Ids of a packed ring have 16 bits: so far an array can be indexed by one. */
#define IDS	(U16_MAX + 1)
#define UNTOUCHED	0xa5a5

/**
 * struct hostile - an observer of the queue under test
 * @t: the test
 * @ring: what it keeps of the ring
 * @own_slots: what @ring had allocated for its slots
 * @sgs: what is made available next
 * @descs: the ring's descriptors, as the driver wrote them
 * @avail: its available ring's entries, likewise
 */
struct hostile {
	struct selftest *t;
	struct pykit_ring ring;
	u16 *own_slots;
	struct pykit_sgs sgs;
	struct vring_desc descs[SELFTEST_RING];
	__virtio16 avail[SELFTEST_RING];
};

/* Put slots that any id can index in place of the observer's, to see a stray write. */
static bool hostile_guard_slots(struct hostile *h)
{
	u16 *slots = kmalloc_array(IDS, sizeof(*slots), GFP_KERNEL);

	if (!CHECK(h->t, slots))
		return false;
	memset16(slots, UNTOUCHED, IDS);
	memset(slots, 0, h->ring.size * sizeof(*slots));
	h->own_slots = h->ring.slots;
	h->ring.slots = slots;
	return true;
}

static void hostile_end(struct hostile *h)
{
	unsigned int i;

	if (h->ring.is_packed) {
		for (i = h->ring.size; i < IDS; i++)
			if (!CHECK(h->t, h->ring.slots[i] == UNTOUCHED))
				break;
		kfree(h->ring.slots);
		h->ring.slots = h->own_slots;
	}
	pykit_ring_free(&h->ring);
	kfree(h);
}

static struct hostile *hostile_begin(struct selftest *t)
{
	struct hostile *h;

	/* A device that is not one is nothing to judge a trace by. */
	if (trace_pykit_queue_enabled() || trace_pykit_add_enabled()) {
		selftest_skip(t, "events of pykit are enabled");
		return NULL;
	}
	h = kzalloc(sizeof(*h), GFP_KERNEL);
	if (!CHECK(t, h))
		return NULL;
	h->t = t;
	if (!CHECK(t, !pykit_ring_init(&h->ring, t->vq, PYKIT_BY_PROBE, 1)))
		goto no_ring;
	pykit_ring_begin(&h->ring);
	if (!h->ring.is_packed || hostile_guard_slots(h))
		return h;
	pykit_ring_free(&h->ring);
no_ring:
	kfree(h);
	return NULL;
}

static void hostile_save(struct hostile *h)
{
	const struct pykit_ring *r = &h->ring;

	memcpy(h->descs, r->is_packed ? (void *)r->packed : (void *)r->split->desc,
	       sizeof(h->descs));
	if (!r->is_packed)
		memcpy(h->avail, r->split->avail->ring, sizeof(h->avail));
}

static void hostile_restore(struct hostile *h)
{
	const struct pykit_ring *r = &h->ring;

	memcpy(r->is_packed ? (void *)r->packed : (void *)r->split->desc, h->descs,
	       sizeof(h->descs));
	if (!r->is_packed)
		memcpy(r->split->avail->ring, h->avail, sizeof(h->avail));
}

/*
 * Make one buffer to read and one to write available. Before the observer reads the
 * ring it is the device's turn, with @strike; afterwards the ring is put right, so
 * that the chain can be returned.
 */
static bool hostile_add(struct hostile *h, void *token,
			void (*strike)(struct hostile *h, u64 value), u64 value)
{
	struct scatterlist sg[2], *sgs[2] = { &sg[0], &sg[1] };
	int err;

	sg_init_one(&sg[0], selftest_buf(h->t, 0), 64);
	sg_init_one(&sg[1], selftest_buf(h->t, 1), 64);
	h->sgs = (struct pykit_sgs){ .sgs = sgs, .out = 1, .in = 1 };
	pykit_ring_before_add(&h->ring, &h->sgs);
	err = virtqueue_add_sgs(h->t->vq, sgs, 1, 1, token, GFP_KERNEL);
	if (!CHECK(h->t, !err))
		return false;
	hostile_save(h);
	if (strike)
		strike(h, value);
	pykit_ring_after_add(&h->ring, &h->sgs);
	pykit_ring_walk(&h->ring, &h->sgs);
	hostile_restore(h);
	return true;
}

/* The last descriptor in the ring of the chain that was added last. */
static struct vring_packed_desc *hostile_packed(struct hostile *h)
{
	u16 pos = pykit_ring_advance(&h->ring, h->sgs.first,
				     selftest_slots(h->t, 2) - 1);

	return &h->ring.packed[pos & ~PYKIT_WRAP];
}

/* The first descriptor in the ring of the same. */
static struct vring_desc *hostile_split(struct hostile *h)
{
	struct virtio_device *vdev = h->t->vq->vdev;
	u16 slot = h->sgs.first & (h->ring.size - 1);

	return &h->ring.split->desc[virtio16_to_cpu(vdev, h->ring.split->avail->ring[slot])];
}

static void hostile_write_id(struct hostile *h, u64 id)
{
	hostile_packed(h)->id = cpu_to_le16(id);
}

/* The device returns the next chain, and the core takes it. */
static void hostile_return(struct hostile *h, void *token)
{
	unsigned int num_free = h->t->vq->num_free, len;
	struct pykit_used used;

	CHECK(h->t, selftest_use(h->t, 0));
	CHECK(h->t, pykit_ring_before_get(&h->ring, &used));
	CHECK(h->t, virtqueue_get_buf(h->t->vq, &len) == token);
	pykit_ring_after_get(&h->ring, &used, true, num_free);
	CHECK(h->t, h->ring.last_used == h->ring.next_avail);
}

/* The buffer id of a packed ring is overwritten before anybody has read it. */
void selftest_hostile_id(struct selftest *t)
{
	static const u16 ids[] = { SELFTEST_RING, 0x7fff, 0x8000, 0xffff };
	struct hostile *h;
	unsigned int i;

	if (!t->packed)
		return;
	h = hostile_begin(t);
	if (!h)
		return;
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		if (!hostile_add(h, t, hostile_write_id, ids[i]))
			break;
		CHECK(t, h->sgs.chain.head == PYKIT_HEAD_UNKNOWN);
		hostile_return(h, t);
		/* One that is left alone is known. */
		if (!hostile_add(h, t, NULL, 0))
			break;
		CHECK(t, h->sgs.chain.head == le16_to_cpu(hostile_packed(h)->id));
		hostile_return(h, t);
	}
	hostile_end(h);
}

/* The buffer id is overwritten by that of another chain, for ever. */
void selftest_hostile_id_of_another(struct selftest *t)
{
	struct hostile *h;
	u16 other;

	if (!t->packed)
		return;
	h = hostile_begin(t);
	if (!h)
		return;
	if (hostile_add(h, t, NULL, 0)) {
		other = h->sgs.chain.head;
		CHECK(t, h->ring.slots[other] == selftest_slots(t, 2));
		if (hostile_add(h, t->buf, hostile_write_id, other))
			CHECK(t, h->sgs.chain.head == PYKIT_HEAD_UNKNOWN);
		CHECK(t, h->ring.slots[other] == selftest_slots(t, 2));
	}
	hostile_end(h);
}

static void hostile_set_used_id(struct hostile *h, u16 pos, u32 id)
{
	struct virtio_device *vdev = h->t->vq->vdev;

	if (h->ring.is_packed)
		h->ring.packed[pos & ~PYKIT_WRAP].id = cpu_to_le16(id);
	else
		h->ring.split->used->ring[pos & (h->ring.size - 1)].id =
			cpu_to_virtio32(vdev, id);
}

/* The id of a used entry changes between the observer's look and the core's. */
void selftest_hostile_used_id(struct selftest *t)
{
	static const u32 ids[] = { SELFTEST_RING, 0x7fff, 0xffff, 0x10000, U32_MAX };
	unsigned int i, len, num_free;
	struct pykit_used used;
	struct hostile *h = hostile_begin(t);

	if (!h)
		return;
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		if (!hostile_add(h, t, NULL, 0) ||
		    !CHECK(t, soft_pop(t->q, &t->chain)))
			break;
		soft_push(t->q, ids[i], 0, t->chain.slots);
		CHECK(t, pykit_ring_before_get(&h->ring, &used));
		CHECK(t, used.id == (t->packed ? (u16)ids[i] : ids[i]));
		hostile_set_used_id(h, h->ring.last_used, t->chain.id);
		num_free = t->vq->num_free;
		CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
		pykit_ring_after_get(&h->ring, &used, true, num_free);
		CHECK(t, h->ring.last_used == h->ring.next_avail);
		/* It cannot know which chain that was: the id is taken, for it. */
		if (t->packed)
			memset(h->ring.slots, 0,
			       h->ring.size * sizeof(*h->ring.slots));
	}
	hostile_end(h);
}

static void hostile_point(struct hostile *h, u64 addr)
{
	struct virtio_device *vdev = h->t->vq->vdev;

	if (h->ring.is_packed) {
		hostile_packed(h)->addr = cpu_to_le64(addr);
		return;
	}
	hostile_split(h)->addr = cpu_to_virtio64(vdev, addr);
	hostile_split(h)->len = cpu_to_virtio32(vdev, U32_MAX);
}

/* The address of an indirect table leads nowhere, or out of memory. */
void selftest_hostile_table(struct selftest *t)
{
	const u64 end = virt_to_phys(high_memory - 1) + 1;
	const u64 nowhere[] = {
		0, end + SZ_1G, BIT_ULL(51), BIT_ULL(63), U64_MAX - 15, U64_MAX,
	};
	struct hostile *h;
	unsigned int i;

	if (!t->indirect)
		return;
	h = hostile_begin(t);
	if (!h)
		return;
	for (i = 0; i < ARRAY_SIZE(nowhere); i++) {
		if (!hostile_add(h, t, hostile_point, nowhere[i]))
			goto out;
		CHECK(t, h->sgs.chain.indirect);
		CHECK(t, !h->sgs.chain.chain);
		hostile_return(h, t);
	}
	/* What is behind the end of memory may have page frames, but is not mapped. */
	for (i = 1; i <= 4; i++) {
		if (!hostile_add(h, t, hostile_point, end - i * 8))
			goto out;
		CHECK(t, h->sgs.chain.chain <= t->vq->num_max + 1);
		hostile_return(h, t);
	}
out:
	hostile_end(h);
}

/* A table whose descriptor leads to itself, in a table of 4 GiB. */
static void hostile_loop(struct hostile *h, u64 unused)
{
	struct virtio_device *vdev = h->t->vq->vdev;
	struct vring_desc *loop = (struct vring_desc *)selftest_buf(h->t, 2);

	loop->flags = cpu_to_virtio16(vdev, VRING_DESC_F_NEXT);
	loop->next = 0;
	hostile_point(h, virt_to_phys(loop));
}

void selftest_hostile_loop(struct selftest *t)
{
	struct hostile *h;

	if (t->packed || !t->indirect)
		return;
	h = hostile_begin(t);
	if (!h)
		return;
	if (hostile_add(h, t, hostile_loop, 0))
		CHECK(t, h->sgs.chain.chain == h->ring.max_descs - 1);
	hostile_end(h);
}

static void hostile_set_head(struct hostile *h, u64 head)
{
	u16 slot = h->sgs.first & (h->ring.size - 1);

	h->ring.split->avail->ring[slot] = cpu_to_virtio16(h->t->vq->vdev, head);
}

/* The device overwrites the driver's own entry of the available ring. */
void selftest_hostile_head(struct selftest *t)
{
	static const u16 heads[] = { SELFTEST_RING, 0x7fff, 0xffff };
	struct hostile *h;
	unsigned int i;

	if (t->packed)
		return;
	h = hostile_begin(t);
	if (!h)
		return;
	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		if (!hostile_add(h, t, hostile_set_head, heads[i]))
			break;
		CHECK(t, h->sgs.chain.head == heads[i]);
		CHECK(t, !h->sgs.chain.chain);
	}
	hostile_end(h);
}
