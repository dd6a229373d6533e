// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtqueues: the core's operations, each told of before and after.
 *
 * A driver has to serialise its operations on a queue, all but notifying: so what
 * is told of them is in the order in which they happened, and what is kept of a
 * queue needs no lock of its own. That a device is notified is told right before
 * it is, and an interrupt right before the driver hears of it: whatever comes of
 * either is told later.
 *
 * The core calls some of its operations from others, or has them inlined there.
 * What the driver called tells; the exception is virtqueue_kick(), whose decision
 * is told from inside: only there is it known. Where that is inlined, what
 * virtqueue_kick() does is done with the core's two functions.
 */
#include <linux/hashtable.h>
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/virtio_ids.h>

#include "pykit_probe.h"

/* All queues that are watched. Changed under the lock, read under RCU. */
static DEFINE_HASHTABLE(queues, 6);
static DEFINE_MUTEX(queues_lock);

/* Nothing more is told of any queue. */
static bool leaving;

/* virtqueue_kick() decides without virtqueue_kick_prepare(). */
static bool kick_decides;

/*
 * A queue lives longer than any operation on it: it is forgotten when the core is
 * about to delete it, or when nobody is inside any function that was hooked.
 */
static struct pykit_queue *find(struct virtqueue *vq)
{
	struct pykit_queue *q;

	rcu_read_lock();
	hash_for_each_possible_rcu(queues, q, node, (unsigned long)vq)
		if (q->ring.vq == vq)
			break;
	rcu_read_unlock();
	return q;
}

/* As find(), for what has to wait until the ring's state is known. */
static struct pykit_queue *enter(struct virtqueue *vq)
{
	struct pykit_queue *q;

	pykit_enter();
	if (READ_ONCE(leaving))
		return NULL;
	q = find(vq);
	/* Pairs with join(): what is kept of it is complete. */
	return q && !smp_load_acquire(&q->joining) ? q : NULL;
}

/* Which thread of control this is: a task, or an interrupt on top of it. */
static unsigned long self(void)
{
	return (unsigned long)current | interrupt_context_level();
}

/* A ring that was in use before is known once the core says how far it has got. */
static void join(struct virtqueue *vq, u16 last_used)
{
	struct pykit_queue *q = find(vq);

	if (q && q->joining && pykit_ring_join(&q->ring, last_used))
		/* Pairs with enter(): an interrupt may come at once. */
		smp_store_release(&q->joining, false);
}

/* What the device has used of a split ring that is to be joined; else -1. */
static int used_before(struct virtqueue *vq)
{
	struct pykit_queue *q = find(vq);
	struct pykit_used used;

	if (!q || !q->joining || q->ring.is_packed || virtqueue_is_broken(vq))
		return -1;
	pykit_ring_before_get(&q->ring, &used);
	return used.used_idx;
}

static struct pykit_queue *before_add(struct virtqueue *vq, struct pykit_sgs *s)
{
	struct pykit_queue *q = enter(vq);

	if (q)
		pykit_ring_before_add(&q->ring, s);
	return q;
}

static int after_add(struct pykit_queue *q, struct pykit_sgs *s, int err)
{
	unsigned int count;

	if (q && !err) {
		pykit_ring_after_add(&q->ring, s);
		if (trace_pykit_add_enabled() || trace_pykit_desc_enabled() || q->blk) {
			count = pykit_ring_walk(&q->ring, s);
			if (q->blk)
				pykit_probe_blk_start(q, s->chain.head, count);
		}
	} else if (q) {
		pykit_ring_refused(&q->ring, s, err, true);
	}
	pykit_leave();
	return err;
}

static int add_sgs(struct virtqueue *vq, struct scatterlist *sgs[],
		   unsigned int out, unsigned int in, void *data, gfp_t gfp)
{
	struct pykit_sgs s = { .sgs = sgs, .out = out, .in = in };
	struct pykit_queue *q = before_add(vq, &s);

	return after_add(q, &s, virtqueue_add_sgs(vq, sgs, out, in, data, gfp));
}

/* The others add one scatterlist, which is all that they differ in. */
#define ADD_ONE(name, outs, ins, args, ...)				\
static int name args							\
{									\
	struct pykit_sgs s = { .sgs = &sg, .out = outs, .in = ins };	\
	struct pykit_queue *q = before_add(vq, &s);			\
									\
	return after_add(q, &s, virtqueue_##name(vq, sg, num, __VA_ARGS__)); \
}

ADD_ONE(add_outbuf, 1, 0,
	(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
	 void *data, gfp_t gfp),
	data, gfp)
ADD_ONE(add_inbuf, 0, 1,
	(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
	 void *data, gfp_t gfp),
	data, gfp)
ADD_ONE(add_inbuf_ctx, 0, 1,
	(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
	 void *data, void *ctx, gfp_t gfp),
	data, ctx, gfp)
#ifdef PYKIT_HAVE_ADD_PREMAPPED
ADD_ONE(add_outbuf_premapped, 1, 0,
	(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
	 void *data, gfp_t gfp),
	data, gfp)
ADD_ONE(add_inbuf_premapped, 0, 1,
	(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
	 void *data, void *ctx, gfp_t gfp),
	data, ctx, gfp)
#endif
#ifdef PYKIT_HAVE_ADD_CACHE_CLEAN
ADD_ONE(add_inbuf_cache_clean, 0, 1,
	(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
	 void *data, gfp_t gfp),
	data, gfp)
#endif

static bool kick_prepare(struct virtqueue *vq)
{
	struct pykit_queue *q = enter(vq);
	struct pykit_kick kick;
	bool needed;

	if (q)
		pykit_ring_before_kick(&q->ring, &kick);
	needed = virtqueue_kick_prepare(vq);
	if (q) {
		pykit_ring_after_kick(&q->ring, &kick, needed);
		if (q->kicking == self()) {
			/* Decided in virtqueue_kick(), which goes on to notify. */
			q->kicking = 0;
			WRITE_ONCE(q->ringing, self());
			if (needed && !virtqueue_is_broken(vq))
				pykit_ring_notifies(&q->ring);
		}
	}
	pykit_leave();
	return needed;
}

static bool notify(struct virtqueue *vq)
{
	struct pykit_queue *q = enter(vq);
	bool alive;

	if (q && READ_ONCE(q->ringing) != self() && !virtqueue_is_broken(vq))
		pykit_ring_notifies(&q->ring);
	alive = virtqueue_notify(vq);
	pykit_leave();
	return alive;
}

static bool kick(struct virtqueue *vq)
{
	struct pykit_queue *q = enter(vq);
	bool alive;

	if (kick_decides) {
		alive = !kick_prepare(vq) || notify(vq);
		pykit_leave();
		return alive;
	}
	if (q)
		q->kicking = self();
	alive = virtqueue_kick(vq);
	if (q) {
		/* A decision that was not seen shows as a gap. */
		if (q->kicking && !READ_ONCE(leaving))
			atomic_inc(&q->ring.at.seq);
		q->kicking = 0;
		WRITE_ONCE(q->ringing, 0);
	}
	pykit_leave();
	return alive;
}

/**
 * struct pykit_get - a used entry that is being taken
 * @q: its queue, NULL if nobody is to be told
 * @used: the entry
 * @there: whether there is one
 * @num_free: how many descriptors were free before
 * @before: as used_before() had it
 */
struct pykit_get {
	struct pykit_queue *q;
	struct pykit_used used;
	bool there;
	unsigned int num_free;
	int before;
};

static void look(struct pykit_get *get)
{
	get->there = pykit_ring_before_get(&get->q->ring, &get->used);
	if (get->there && get->q->blk)
		pykit_probe_blk_look(get->q, &get->used);
}

static struct pykit_get before_get(struct virtqueue *vq)
{
	struct pykit_get get = {
		.q = enter(vq),
		.num_free = vq->num_free,
		.before = -1,
	};

	if (!get.q)
		get.before = used_before(vq);
	else if (get.q->taking)
		get.q = NULL;
	if (get.q) {
		get.q->taking = true;
		/* A broken queue the core does not look at. */
		if (!virtqueue_is_broken(vq))
			look(&get);
	}
	return get;
}

static void *after_get(struct virtqueue *vq, struct pykit_get *get, void *buf)
{
	struct pykit_queue *q = get->q;

	/* The core found nothing to take: it has got as far as the device. */
	if (!buf && get->before >= 0 && get->before == used_before(vq))
		join(vq, get->before);

	if (q) {
		/* What came after we looked stands there still. */
		if (buf && !get->there)
			look(get);
		if (get->there)
			pykit_ring_after_get(&q->ring, &get->used, buf, get->num_free);
		if (get->there && buf && q->blk)
			pykit_probe_blk_done(q, &get->used);
		q->taking = false;
	}
	pykit_leave();
	return buf;
}

static void *get_buf_ctx(struct virtqueue *vq, unsigned int *len, void **ctx)
{
	struct pykit_get get = before_get(vq);

	return after_get(vq, &get, virtqueue_get_buf_ctx(vq, len, ctx));
}

static void *get_buf(struct virtqueue *vq, unsigned int *len)
{
	struct pykit_get get = before_get(vq);

	return after_get(vq, &get, virtqueue_get_buf(vq, len));
}

static void disable_cb(struct virtqueue *vq)
{
	struct pykit_queue *q = enter(vq);

	virtqueue_disable_cb(vq);
	if (q)
		pykit_ring_callback(&q->ring, false, false);
	pykit_leave();
}

static bool enable_cb(struct virtqueue *vq)
{
	struct pykit_queue *q = enter(vq);
	bool enabled;

	if (q)
		q->enabling = true;
	enabled = virtqueue_enable_cb(vq);
	if (q) {
		q->enabling = false;
		pykit_ring_callback(&q->ring, true, !enabled);
	}
	pykit_leave();
	return enabled;
}

static unsigned int enable_cb_prepare(struct virtqueue *vq)
{
	struct pykit_queue *q = enter(vq);
	unsigned int last_used = virtqueue_enable_cb_prepare(vq);
	struct pykit_used used;

	if (!q)
		join(vq, last_used);
	else if (!q->enabling)
		pykit_ring_callback(&q->ring, true,
				    pykit_ring_before_get(&q->ring, &used));
	pykit_leave();
	return last_used;
}

static bool poll(struct virtqueue *vq, unsigned int last_used)
{
	struct pykit_queue *q = enter(vq);
	bool more = virtqueue_poll(vq, last_used);

	/* That there is nothing more was told when interrupts were asked for. */
	if (q && !q->enabling && more)
		pykit_ring_callback(&q->ring, true, true);
	pykit_leave();
	return more;
}

static bool enable_cb_delayed(struct virtqueue *vq)
{
	struct pykit_queue *q = enter(vq);
	bool enabled = virtqueue_enable_cb_delayed(vq);

	if (q)
		pykit_ring_callback(&q->ring, true, !enabled);
	pykit_leave();
	return enabled;
}

static void *detach_unused_buf(struct virtqueue *vq)
{
	struct pykit_queue *q = enter(vq);
	unsigned int num_free = vq->num_free;
	void *buf = virtqueue_detach_unused_buf(vq);

	if (q && buf)
		pykit_ring_detached(&q->ring, num_free);
	pykit_leave();
	return buf;
}

static void tell_broken(struct virtqueue *vq, enum pykit_queue_op op)
{
	struct pykit_queue *q = enter(vq);

	if (q)
		pykit_ring_breaks(&q->ring, op);
}

static void break_queue(struct virtqueue *vq)
{
	tell_broken(vq, PYKIT_QUEUE_BROKEN);
	__virtqueue_break(vq);
	pykit_leave();
}

static void mend_queue(struct virtqueue *vq)
{
	tell_broken(vq, PYKIT_QUEUE_MENDED);
	__virtqueue_unbreak(vq);
	pykit_leave();
}

/* Nothing keeps others from deleting its queues meanwhile. */
static void tell_all_broken(struct virtio_device *vdev, enum pykit_queue_op op)
{
	struct pykit_queue *q;
	int bucket;

	pykit_enter();
	rcu_read_lock();
	hash_for_each_rcu(queues, bucket, q, node)
		/* The flag pairs with join(), as in enter(). */
		if (q->ring.vq->vdev == vdev && !smp_load_acquire(&q->joining))
			pykit_ring_breaks(&q->ring, op);
	rcu_read_unlock();
}

static void break_device(struct virtio_device *vdev)
{
	tell_all_broken(vdev, PYKIT_QUEUE_BROKEN);
	virtio_break_device(vdev);
	pykit_leave();
}

static void mend_device(struct virtio_device *vdev)
{
	tell_all_broken(vdev, PYKIT_QUEUE_MENDED);
	__virtio_unbreak_device(vdev);
	pykit_leave();
}

static irqreturn_t interrupt(int irq, void *_vq)
{
	struct virtqueue *vq = _vq;
	struct pykit_queue *q = enter(vq);
	struct pykit_used used;
	irqreturn_t handled;
	bool hears, told;

	/* The driver hears of it only if there is something to take. */
	hears = q && vq->callback && !virtqueue_is_broken(vq);
	told = hears && pykit_ring_before_get(&q->ring, &used);
	if (told)
		pykit_ring_interrupts(&q->ring);
	handled = vring_interrupt(irq, _vq);
	/* It came after we looked, before the core did. */
	if (hears && !told && handled == IRQ_HANDLED)
		pykit_ring_interrupts(&q->ring);
	pykit_leave();
	return handled;
}

static struct pykit_queue *alloc_queue(struct virtqueue *vq, unsigned int count)
{
	struct pykit_queue *q = kzalloc(sizeof(*q), GFP_KERNEL);
	int err = q ? pykit_ring_init(&q->ring, vq, PYKIT_BY_PROBE, count) : -ENOMEM;

	if (!err && vq->vdev->id.device == VIRTIO_ID_BLOCK) {
		q->blk = pykit_probe_blk_alloc(&q->ring);
		if (!q->blk)
			err = -ENOMEM;
	}
	if (!err)
		return q;
	dev_err(&vq->vdev->dev, "queue %u cannot be watched: error %d\n",
		vq->index, err);
	if (q)
		pykit_ring_free(&q->ring);
	kfree(q);
	return NULL;
}

static void watch(struct virtqueue *vq, unsigned int count, bool joining)
{
	struct pykit_queue *q = alloc_queue(vq, count);

	if (!q)
		return;
	q->joining = joining;
	if (!joining)
		pykit_ring_begin(&q->ring);
	mutex_lock(&queues_lock);
	hash_add_rcu(queues, &q->node, (unsigned long)vq);
	mutex_unlock(&queues_lock);
}

static unsigned int count_queues(struct virtio_device *vdev)
{
	struct virtqueue *vq;
	unsigned int count = 0;

	virtio_device_for_each_vq(vdev, vq)
		count++;
	return count;
}

/**
 * pykit_queues_found() - a device's queues were set up
 * @vdev: the device
 * @count: how many its driver asked for
 */
void pykit_queues_found(struct virtio_device *vdev, unsigned int count)
{
	struct virtqueue *vq;

	virtio_device_for_each_vq(vdev, vq)
		watch(vq, count, false);
}

/**
 * pykit_queues_join() - a device's queues may be in use
 * @vdev: the device, locked
 */
void pykit_queues_join(struct virtio_device *vdev)
{
	unsigned int count = count_queues(vdev);
	struct virtqueue *vq;

	virtio_device_for_each_vq(vdev, vq)
		watch(vq, count, true);
}

/**
 * pykit_queue_enabled() - a queue was set up again
 * @vq: the queue
 */
void pykit_queue_enabled(struct virtqueue *vq)
{
	watch(vq, count_queues(vq->vdev), false);
}

/* Forget the queues of a device, or one of them, or those of all devices. */
static void forget(const struct virtio_device *vdev, const struct virtqueue *vq,
		   enum pykit_queue_op op)
{
	struct hlist_node *next;
	struct pykit_queue *q;
	HLIST_HEAD(gone);
	int bucket;

	mutex_lock(&queues_lock);
	hash_for_each_safe(queues, bucket, next, q, node) {
		if ((vdev && q->ring.vq->vdev != vdev) || (vq && q->ring.vq != vq))
			continue;
		hash_del_rcu(&q->node);
		hlist_add_head(&q->gone, &gone);
	}
	mutex_unlock(&queues_lock);
	if (hlist_empty(&gone))
		return;
	/* An interrupt may have found one of them before. */
	synchronize_rcu();
	hlist_for_each_entry_safe(q, next, &gone, gone) {
		if (!q->joining)
			pykit_ring_end(&q->ring, op);
		pykit_ring_free(&q->ring);
		kfree(q->blk);
		kfree(q);
	}
}

/**
 * pykit_queues_deleted() - a device's queues are about to be deleted
 * @vdev: the device
 */
void pykit_queues_deleted(struct virtio_device *vdev)
{
	forget(vdev, NULL, PYKIT_QUEUE_DELETED);
}

/**
 * pykit_queue_disabled() - a queue is about to be reset by itself
 * @vq: the queue
 */
void pykit_queue_disabled(struct virtqueue *vq)
{
	forget(vq->vdev, vq, PYKIT_QUEUE_DELETED);
}

/**
 * pykit_queues_leave() - tell no more
 *
 * The functions that are hooked are let go one by one. What is told of a queue
 * ends before that, between two operations on it: none in the middle is missed.
 */
void pykit_queues_leave(void)
{
	WRITE_ONCE(leaving, true);
}

/**
 * pykit_queues_exit() - the module goes; nobody is in any function above
 */
void pykit_queues_exit(void)
{
	forget(NULL, NULL, PYKIT_QUEUE_LEFT);
}

static const struct pykit_hook hooks[] = {
	PYKIT_HOOK(virtqueue_add_sgs, add_sgs),
	PYKIT_HOOK(virtqueue_add_outbuf, add_outbuf),
	PYKIT_HOOK(virtqueue_add_inbuf, add_inbuf),
	PYKIT_HOOK(virtqueue_add_inbuf_ctx, add_inbuf_ctx),
#ifdef PYKIT_HAVE_ADD_PREMAPPED
	PYKIT_HOOK(virtqueue_add_outbuf_premapped, add_outbuf_premapped),
	PYKIT_HOOK(virtqueue_add_inbuf_premapped, add_inbuf_premapped),
#endif
#ifdef PYKIT_HAVE_ADD_CACHE_CLEAN
	PYKIT_HOOK(virtqueue_add_inbuf_cache_clean, add_inbuf_cache_clean),
#endif
	PYKIT_HOOK(virtqueue_kick_prepare, kick_prepare),
	PYKIT_HOOK(virtqueue_notify, notify),
	PYKIT_HOOK(virtqueue_kick, kick),
	PYKIT_HOOK(virtqueue_get_buf_ctx, get_buf_ctx),
	PYKIT_HOOK(virtqueue_get_buf, get_buf),
	PYKIT_HOOK(virtqueue_disable_cb, disable_cb),
	PYKIT_HOOK(virtqueue_enable_cb, enable_cb),
	PYKIT_HOOK(virtqueue_enable_cb_prepare, enable_cb_prepare),
	PYKIT_HOOK(virtqueue_poll, poll),
	PYKIT_HOOK(virtqueue_enable_cb_delayed, enable_cb_delayed),
	PYKIT_HOOK(virtqueue_detach_unused_buf, detach_unused_buf),
	PYKIT_HOOK(__virtqueue_break, break_queue),
	PYKIT_HOOK(__virtqueue_unbreak, mend_queue),
	PYKIT_HOOK(virtio_break_device, break_device),
	PYKIT_HOOK(__virtio_unbreak_device, mend_device),
	PYKIT_HOOK(vring_interrupt, interrupt),
};

/**
 * pykit_queue_init() - note what to hook
 *
 * Return: as pykit_hook().
 */
int pykit_queue_init(void)
{
	kick_decides = !pykit_calls((unsigned long)virtqueue_kick,
				    (unsigned long)virtqueue_kick_prepare);
	return pykit_hook(hooks, ARRAY_SIZE(hooks));
}
