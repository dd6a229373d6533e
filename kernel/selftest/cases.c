// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cases: buffers, notifications, callbacks.
 *
 * What the core did is looked at in the ring's memory, by the device's side; what
 * it says of it, by the driver's.
 */
#include <linux/io.h>
#include <linux/slab.h>

#include "selftest.h"

/**
 * selftest_slots() - ring descriptors that a chain takes
 * @t: the test
 * @bufs: how many buffers it has
 *
 * Return: how many: a table is made of two buffers or more.
 */
unsigned int selftest_slots(struct selftest *t, unsigned int bufs)
{
	return t->indirect && bufs > 1 ? 1 : bufs;
}

/**
 * selftest_add() - make buffers available
 * @t: the test
 * @out: how many the device reads
 * @in: how many it writes
 * @token: what comes back for them
 *
 * Return: as virtqueue_add_sgs().
 */
int selftest_add(struct selftest *t, unsigned int out, unsigned int in,
		 void *token)
{
	struct scatterlist sg[4], *sgs[4];
	unsigned int i;

	for (i = 0; i < out + in; i++) {
		sg_init_one(&sg[i], selftest_buf(t, i), 64);
		sgs[i] = &sg[i];
	}
	return virtqueue_add_sgs(t->vq, sgs, out, in, token, GFP_KERNEL);
}

/**
 * selftest_use() - have the device take the next chain and give it back
 * @t: the test
 * @len: how many bytes it says it wrote
 *
 * Return: whether there was one.
 */
bool selftest_use(struct selftest *t, u32 len)
{
	if (!soft_pop(t->q, &t->chain))
		return false;
	soft_push(t->q, t->chain.id, len, t->chain.slots);
	return true;
}

/* The chain that was taken is what was made available. */
static void selftest_check_chain(struct selftest *t, unsigned int out, unsigned int in)
{
	unsigned int i;

	CHECK(t, t->chain.out == out);
	CHECK(t, t->chain.in == in);
	CHECK(t, t->chain.slots == selftest_slots(t, out + in));
	CHECK(t, t->chain.indirect == (t->indirect && out + in > 1));
	for (i = 0; i < out + in; i++) {
		CHECK(t, t->chain.bufs[i].addr == selftest_buf(t, i));
		CHECK(t, t->chain.bufs[i].len == 64);
	}
}

static void selftest_check_returned(struct selftest *t, void *token, u32 len)
{
	unsigned int got = ~0;

	soft_push(t->q, t->chain.id, len, t->chain.slots);
	CHECK(t, virtqueue_get_buf(t->vq, &got) == token);
	CHECK(t, got == len);
	CHECK(t, t->vq->num_free == SELFTEST_RING);
}

void selftest_add_outbuf(struct selftest *t)
{
	struct scatterlist sg[2];

	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], selftest_buf(t, 0), 64);
	sg_set_buf(&sg[1], selftest_buf(t, 1), 64);
	CHECK(t, !soft_pop(t->q, &t->chain));
	CHECK(t, !virtqueue_add_outbuf(t->vq, sg, 2, t, GFP_KERNEL));
	CHECK(t, t->vq->num_free == SELFTEST_RING - selftest_slots(t, 2));
	if (CHECK(t, soft_pop(t->q, &t->chain)))
		selftest_check_chain(t, 2, 0);
	CHECK(t, !soft_pop(t->q, &t->chain));
	selftest_check_returned(t, t, 0);
}

void selftest_add_inbuf(struct selftest *t)
{
	struct scatterlist sg[2];

	/* A buffer alone is never worth a table. */
	sg_init_one(sg, selftest_buf(t, 0), 64);
	CHECK(t, !virtqueue_add_inbuf(t->vq, sg, 1, t, GFP_KERNEL));
	CHECK(t, t->vq->num_free == SELFTEST_RING - 1);
	if (CHECK(t, soft_pop(t->q, &t->chain)))
		selftest_check_chain(t, 0, 1);
	selftest_check_returned(t, t, 64);

	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], selftest_buf(t, 0), 64);
	sg_set_buf(&sg[1], selftest_buf(t, 1), 64);
	CHECK(t, !virtqueue_add_inbuf(t->vq, sg, 2, t->buf, GFP_KERNEL));
	if (CHECK(t, soft_pop(t->q, &t->chain)))
		selftest_check_chain(t, 0, 2);
	selftest_check_returned(t, t->buf, 128);
}

void selftest_add_sgs(struct selftest *t)
{
	CHECK(t, !selftest_add(t, 2, 2, t));
	CHECK(t, t->vq->num_free == SELFTEST_RING - selftest_slots(t, 4));
	if (CHECK(t, soft_pop(t->q, &t->chain)))
		selftest_check_chain(t, 2, 2);
	selftest_check_returned(t, t, 100);
}

void selftest_data(struct selftest *t)
{
	unsigned int i;

	memset(selftest_buf(t, 0), 0x5a, 64);
	memset(selftest_buf(t, 1), 0, 64);
	CHECK(t, !selftest_add(t, 1, 1, t));
	if (!CHECK(t, soft_pop(t->q, &t->chain)))
		return;
	for (i = 0; i < 64; i++)
		((u8 *)t->chain.bufs[1].addr)[i] = ((u8 *)t->chain.bufs[0].addr)[i] ^ i;
	selftest_check_returned(t, t, 64);
	for (i = 0; i < 64; i++)
		if (!CHECK(t, selftest_buf(t, 1)[i] == (0x5a ^ i)))
			break;
}

void selftest_addresses(struct selftest *t)
{
	u64 desc = virtqueue_get_desc_addr(t->vq);
	u64 avail = virtqueue_get_avail_addr(t->vq);
	u64 used = virtqueue_get_used_addr(t->vq);
	const struct vring *ring;

	CHECK(t, virtqueue_get_vring_size(t->vq) == SELFTEST_RING);
	CHECK(t, t->vq->num_max == SELFTEST_RING);
	CHECK(t, IS_ALIGNED(desc, 16));
	if (t->packed) {
		CHECK(t, IS_ALIGNED(avail, 4));
		CHECK(t, IS_ALIGNED(used, 4));
		CHECK(t, avail != used);
		return;
	}
	ring = virtqueue_get_vring(t->vq);
	CHECK(t, ring->num == SELFTEST_RING);
	CHECK(t, phys_to_virt(desc) == ring->desc);
	CHECK(t, phys_to_virt(avail) == ring->avail);
	CHECK(t, phys_to_virt(used) == ring->used);
	CHECK(t, !virtio16_to_cpu(t->vq->vdev, ring->avail->idx));
	CHECK(t, !selftest_add(t, 1, 0, t));
	CHECK(t, virtio16_to_cpu(t->vq->vdev, ring->avail->idx) == 1);
}

void selftest_full(struct selftest *t)
{
	unsigned int most = SELFTEST_RING / selftest_slots(t, 2), i, len;

	for (i = 0; i < most; i++)
		if (!CHECK(t, !selftest_add(t, 1, 1, selftest_buf(t, i))))
			return;
	CHECK(t, !t->vq->num_free);
	/* In hope of room, the core notifies; the traces rely on when it does. */
	CHECK(t, selftest_add(t, 0, 1, t) == -ENOSPC);
	CHECK(t, !t->q->notified);
	CHECK(t, selftest_add(t, 1, 1, t) == -ENOSPC);
	CHECK(t, t->q->notified == (t->packed ? 0 : 1));
	CHECK(t, selftest_add(t, 1, 0, t) == -ENOSPC);
	CHECK(t, t->q->notified == (t->packed ? 0 : 2));
	CHECK(t, !t->vq->num_free);
	CHECK(t, selftest_use(t, 0));
	/* Used is not taken yet. */
	CHECK(t, selftest_add(t, 1, 1, t) == -ENOSPC);
	CHECK(t, virtqueue_get_buf(t->vq, &len) == selftest_buf(t, 0));
	CHECK(t, t->vq->num_free == selftest_slots(t, 2));
	CHECK(t, !selftest_add(t, 1, 1, t));
}

/* The device may give chains back in any order. */
void selftest_order(struct selftest *t)
{
	static const unsigned int order[] = { 2, 0, 3, 1 };
	struct soft_chain *chain = &t->chain;
	u16 id[4], slots[4];
	unsigned int i, len;

	for (i = 0; i < 4; i++)
		CHECK(t, !selftest_add(t, 1, 1, selftest_buf(t, i)));
	for (i = 0; i < 4; i++) {
		if (!CHECK(t, soft_pop(t->q, chain)))
			return;
		id[i] = chain->id;
		slots[i] = chain->slots;
	}
	for (i = 0; i < 4; i++)
		soft_push(t->q, id[order[i]], order[i], slots[order[i]]);
	for (i = 0; i < 4; i++) {
		CHECK(t, virtqueue_get_buf(t->vq, &len) == selftest_buf(t, order[i]));
		CHECK(t, len == order[i]);
	}
	CHECK(t, !virtqueue_get_buf(t->vq, &len));
	CHECK(t, t->vq->num_free == SELFTEST_RING);
}

static bool selftest_go_round(struct selftest *t, unsigned int bufs, u32 n)
{
	u32 len;

	return CHECK(t, !selftest_add(t, bufs - 1, 1, selftest_buf(t, n % 2))) &&
	       CHECK(t, selftest_use(t, n)) &&
	       CHECK(t, virtqueue_get_buf(t->vq, &len) == selftest_buf(t, n % 2)) &&
	       CHECK(t, len == n);
}

/* Chains of three do not end where the ring ends. */
void selftest_wrap(struct selftest *t)
{
	unsigned int i;

	for (i = 0; i < 5 * SELFTEST_RING; i++)
		if (!selftest_go_round(t, 3, i))
			return;
	CHECK(t, t->vq->num_free == SELFTEST_RING);
}

/* A split ring's indices are 16 bits wide; a packed one has none. */
void selftest_index_overflow(struct selftest *t)
{
	struct virtio_device *vdev = t->vq->vdev;
	unsigned int i;

	if (t->packed || t->indirect)
		return;
	for (i = 0; i < 65536 + 2 * SELFTEST_RING; i++)
		if (!selftest_go_round(t, 2, i))
			return;
	CHECK(t, virtio16_to_cpu(vdev, virtqueue_get_vring(t->vq)->avail->idx) ==
		 2 * SELFTEST_RING);
}

void selftest_kick(struct selftest *t)
{
	soft_wants_notify(t->q, true);
	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, virtqueue_kick_prepare(t->vq));
	CHECK(t, !t->q->notified);
	CHECK(t, virtqueue_notify(t->vq));
	CHECK(t, t->q->notified == 1);
	CHECK(t, soft_pop(t->q, &t->chain));

	/* One decision for all that came since the last one. */
	soft_wants_notify(t->q, true);
	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, virtqueue_kick(t->vq));
	CHECK(t, t->q->notified == 2);
	CHECK(t, soft_pop(t->q, &t->chain));
	CHECK(t, soft_pop(t->q, &t->chain));

	/* A device that does not want to be notified is not. */
	soft_wants_notify(t->q, false);
	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, !virtqueue_kick_prepare(t->vq));
	CHECK(t, virtqueue_kick(t->vq));
	CHECK(t, t->q->notified == 2);
	/* That is for kick_prepare() to know; who notifies does. */
	CHECK(t, virtqueue_notify(t->vq));
	CHECK(t, t->q->notified == 3);
}

void selftest_notify_fails(struct selftest *t)
{
	t->dev->deaf = true;
	CHECK(t, !selftest_add(t, 1, 1, t));
	soft_wants_notify(t->q, true);
	CHECK(t, !virtqueue_kick(t->vq));
	CHECK(t, virtqueue_is_broken(t->vq));
	CHECK(t, !virtqueue_notify(t->vq));
	CHECK(t, selftest_add(t, 1, 1, t) == -EIO);
}

void selftest_get_nothing(struct selftest *t)
{
	unsigned int len = 7;

	CHECK(t, !virtqueue_get_buf(t->vq, &len));
	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, !virtqueue_get_buf(t->vq, &len));
	CHECK(t, len == 7);
	CHECK(t, selftest_use(t, 3));
	CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
	CHECK(t, !virtqueue_get_buf(t->vq, &len));
}

/* Make a chain available, and have it used: not taken yet. */
static void selftest_one_used(struct selftest *t, void *token)
{
	CHECK(t, !selftest_add(t, 1, 1, token));
	CHECK(t, selftest_use(t, 0));
}

void selftest_disable_cb(struct selftest *t)
{
	unsigned int len;

	CHECK(t, virtqueue_enable_cb(t->vq));
	selftest_one_used(t, t);
	CHECK(t, soft_wants_interrupt(t->q));
	CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
	virtqueue_disable_cb(t->vq);
	selftest_one_used(t, t);
	CHECK(t, !soft_wants_interrupt(t->q));
	CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
}

void selftest_enable_cb(struct selftest *t)
{
	unsigned int len;

	virtqueue_disable_cb(t->vq);
	/* Nothing is there: an interrupt will say when. */
	CHECK(t, virtqueue_enable_cb(t->vq));
	selftest_one_used(t, t);
	CHECK(t, soft_wants_interrupt(t->q));
	virtqueue_disable_cb(t->vq);
	/* Something is there already: no interrupt will say so. */
	CHECK(t, !virtqueue_enable_cb(t->vq));
	CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
	CHECK(t, virtqueue_enable_cb(t->vq));
}

void selftest_enable_cb_prepare(struct selftest *t)
{
	unsigned int opaque, len;

	virtqueue_disable_cb(t->vq);
	opaque = virtqueue_enable_cb_prepare(t->vq);
	CHECK(t, !virtqueue_poll(t->vq, opaque));
	selftest_one_used(t, t);
	CHECK(t, soft_wants_interrupt(t->q));
	CHECK(t, virtqueue_poll(t->vq, opaque));
	CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
	opaque = virtqueue_enable_cb_prepare(t->vq);
	CHECK(t, !virtqueue_poll(t->vq, opaque));
}

/* Eight are outstanding: with EVENT_IDX an interrupt is wanted of the seventh. */
void selftest_enable_cb_delayed(struct selftest *t)
{
	unsigned int i, len, wanted = 0;

	for (i = 0; i < 8; i++)
		CHECK(t, !selftest_add(t, 1, 0, t));
	/* Else a packed ring goes on to ask for every one. */
	virtqueue_disable_cb(t->vq);
	CHECK(t, virtqueue_enable_cb_delayed(t->vq));
	for (i = 1; i <= 8; i++) {
		CHECK(t, selftest_use(t, 0));
		if (soft_wants_interrupt(t->q) && !wanted)
			wanted = i;
	}
	CHECK(t, wanted == (t->event_idx ? 7 : 1));
	/* More than it would wait for is there. */
	CHECK(t, !virtqueue_enable_cb_delayed(t->vq));
	for (i = 0; i < 8; i++)
		CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
	CHECK(t, virtqueue_enable_cb_delayed(t->vq));
}

void selftest_interrupt(struct selftest *t)
{
	unsigned int len;

	CHECK(t, virtqueue_enable_cb(t->vq));
	/* No buffer was used: the interrupt is of another device. */
	CHECK(t, vring_interrupt(0, t->vq) == IRQ_NONE);
	CHECK(t, !t->callbacks);
	selftest_one_used(t, t);
	CHECK(t, vring_interrupt(0, t->vq) == IRQ_HANDLED);
	CHECK(t, t->callbacks == 1);
	CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
	CHECK(t, vring_interrupt(0, t->vq) == IRQ_NONE);
	CHECK(t, t->callbacks == 1);
}

void selftest_detach(struct selftest *t)
{
	unsigned int i, seen = 0, len;
	u8 *token;

	for (i = 0; i < 5; i++)
		CHECK(t, !selftest_add(t, 1, 1, selftest_buf(t, i)));
	CHECK(t, selftest_use(t, 0));
	CHECK(t, virtqueue_get_buf(t->vq, &len) == selftest_buf(t, 0));
	while ((token = virtqueue_detach_unused_buf(t->vq))) {
		i = (token - t->buf) / 64;
		if (!CHECK(t, i < 5 && !(seen & BIT(i))))
			return;
		seen |= BIT(i);
	}
	/* All but the one that was used. */
	CHECK(t, seen == 0x1e);
	CHECK(t, t->vq->num_free == SELFTEST_RING);
}
