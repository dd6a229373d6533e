// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtqueues: the core's operations, each traced before and after.
 *
 * A driver has to serialise its operations on a queue, all but notifying: so their
 * events are in the order in which the operations happened, and the state kept for
 * a queue needs no lock of its own. A notification is traced right before the device
 * is notified, and an interrupt right before the driver's callback runs: the effects
 * of either are traced later.
 *
 * The core calls some of its operations from others, or has them inlined there.
 * The operation that the driver called is traced; the exception is virtqueue_kick(),
 * whose decision is traced from inside, as it is known only there. Where the inner
 * function is inlined, the replacement of virtqueue_kick() calls the core's two
 * functions.
 */
#include <linux/hashtable.h>
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/virtio_ids.h>

#include <pykit_passed.h>

#include "../compat/virtio_add.h"
#include "pykit_probe.h"

/* All queues that are watched. Changed under the lock, read under RCU. */
static DEFINE_HASHTABLE(queues, 6);
static DEFINE_MUTEX(queues_lock);

/* No queue is traced any more. */
static bool leaving;

/* virtqueue_kick() decides without virtqueue_kick_prepare(). */
static bool kick_decides;

/*
 * A queue lives longer than any operation on it: it is forgotten when the core is
 * about to delete it, or when no call is inside any function that was hooked.
 */
static struct pykit_probe_queue *pykit_probe_find_queue(struct virtqueue *vq)
{
	struct pykit_probe_queue *q;

	rcu_read_lock();
	hash_for_each_possible_rcu(queues, q, node, (unsigned long)vq)
		if (q->ring.vq == vq)
			break;
	rcu_read_unlock();
	return q;
}

/* As pykit_probe_find_queue(), for what has to wait until the ring's state is known. */
static struct pykit_probe_queue *pykit_probe_enter_queue(struct virtqueue *vq)
{
	struct pykit_probe_queue *q;

	pykit_hook_enter();
	if (READ_ONCE(leaving))
		return NULL;
	q = pykit_probe_find_queue(vq);
	/* Pairs with pykit_probe_join_queue(): what is kept of it is complete. */
	return q && !smp_load_acquire(&q->joining) ? q : NULL;
}

/* An operation begins that drivers serialise with all others on the queue. */
static void pykit_probe_enter_ring(struct pykit_probe_queue *q)
{
	if (q)
		pykit_ring_enter(&q->ring);
}

static void pykit_probe_leave_ring(struct pykit_probe_queue *q)
{
	if (q)
		pykit_ring_leave(&q->ring);
}

/* Which thread of control this is: a task, or an interrupt on top of it. */
static unsigned long pykit_probe_self(void)
{
	return (unsigned long)current | interrupt_context_level();
}

/* A ring that was in use before is known once the core says how far it has got. */
static void pykit_probe_join_queue(struct virtqueue *vq, u16 last_used)
{
	struct pykit_probe_queue *q = pykit_probe_find_queue(vq);

	if (q && q->joining && pykit_ring_join(&q->ring, last_used))
		/* Pairs with pykit_probe_enter_queue(): an interrupt may come at once. */
		smp_store_release(&q->joining, false);
}

/* What the device has used of a split ring that is to be joined; else -1. */
static int pykit_probe_used_before(struct virtqueue *vq)
{
	struct pykit_probe_queue *q = pykit_probe_find_queue(vq);
	struct pykit_used used;

	if (!q || !q->joining || q->ring.is_packed || virtqueue_is_broken(vq))
		return -1;
	pykit_ring_before_get(&q->ring, &used);
	return used.used_idx;
}

static struct pykit_probe_queue *pykit_probe_before_add(struct virtqueue *vq, struct pykit_sgs *s)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);

	pykit_probe_enter_ring(q);
	if (q)
		pykit_ring_before_add(&q->ring, s);
	if (q && q->blk && pykit_probe_canaries)
		pykit_probe_blk_mark(q, s);
	return q;
}

static int pykit_probe_after_add(struct pykit_probe_queue *q, struct pykit_sgs *s, int err)
{
	unsigned int count;

	if (q && !err) {
		pykit_ring_after_add(&q->ring, s);
		if (trace_pykit_add_enabled() || trace_pykit_desc_enabled() || q->blk) {
			count = pykit_ring_walk(&q->ring, s);
			if (q->blk)
				pykit_probe_blk_start(q, s, count);
		}
	} else if (q) {
		if (q->blk)
			pykit_probe_blk_unmark(q);
		pykit_ring_add_failed(&q->ring, s, err, true);
	}
	pykit_probe_leave_ring(q);
	pykit_hook_leave();
	return err;
}

static int pykit_probe_add_sgs(struct virtqueue *vq, struct scatterlist *sgs[],
			       unsigned int out, unsigned int in, void *data, gfp_t gfp)
{
	struct pykit_sgs s = { .sgs = sgs, .out = out, .in = in };
	struct pykit_probe_queue *q = pykit_probe_before_add(vq, &s);

	if (q && q->blk)
		pykit_passed_forget(NULL, data);
	return pykit_probe_after_add(q, &s, virtqueue_add_sgs(vq, sgs, out, in, data, gfp));
}

/* The others add one scatterlist, which is all that they differ in. */
#define ADD_ONE(name, outs, ins, args, ...)				\
	ADD_ONE_BY(name, virtqueue_##name, outs, ins, args, __VA_ARGS__)

#define ADD_ONE_BY(name, add, outs, ins, args, ...)			\
static int pykit_probe_##name args					\
{									\
	struct pykit_sgs s = { .sgs = &sg, .out = outs, .in = ins };	\
	struct pykit_probe_queue *q = pykit_probe_before_add(vq, &s);	\
									\
	return pykit_probe_after_add(q, &s,				\
				     add(vq, sg, num, __VA_ARGS__));	\
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
ADD_ONE_BY(add_outbuf_premapped, compat_add_outbuf_premapped, 1, 0,
	   (struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
	    void *data, gfp_t gfp),
	   data, gfp)
ADD_ONE_BY(add_inbuf_premapped, compat_add_inbuf_premapped, 0, 1,
	   (struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
	    void *data, void *ctx, gfp_t gfp),
	   data, ctx, gfp)
ADD_ONE_BY(add_inbuf_cache_clean, compat_add_inbuf_cache_clean, 0, 1,
	   (struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
	    void *data, gfp_t gfp),
	   data, gfp)

static bool pykit_probe_kick_prepare(struct virtqueue *vq)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	struct pykit_kick kick;
	bool needed;

	pykit_probe_enter_ring(q);
	if (q)
		pykit_ring_before_kick(&q->ring, &kick);
	needed = virtqueue_kick_prepare(vq);
	if (q) {
		pykit_ring_after_kick(&q->ring, &kick, needed);
		if (q->kicking == pykit_probe_self()) {
			/* Decided in virtqueue_kick(), which goes on to notify. */
			q->kicking = 0;
			WRITE_ONCE(q->ringing, pykit_probe_self());
			if (needed && !virtqueue_is_broken(vq))
				pykit_ring_trace_notify(&q->ring);
		}
	}
	pykit_probe_leave_ring(q);
	pykit_hook_leave();
	return needed;
}

static bool pykit_probe_notify(struct virtqueue *vq)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	bool alive;

	if (q && READ_ONCE(q->ringing) != pykit_probe_self() && !virtqueue_is_broken(vq))
		pykit_ring_trace_notify(&q->ring);
	alive = virtqueue_notify(vq);
	pykit_hook_leave();
	return alive;
}

static bool pykit_probe_kick(struct virtqueue *vq)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	bool alive;

	if (kick_decides) {
		alive = !pykit_probe_kick_prepare(vq) || pykit_probe_notify(vq);
		pykit_hook_leave();
		return alive;
	}
	if (q)
		q->kicking = pykit_probe_self();
	alive = virtqueue_kick(vq);
	if (q) {
		/* A decision that was not seen shows as a gap. */
		if (q->kicking && !READ_ONCE(leaving))
			atomic_inc(&q->ring.vqid.seq);
		q->kicking = 0;
		WRITE_ONCE(q->ringing, 0);
	}
	pykit_hook_leave();
	return alive;
}

/**
 * struct pykit_probe_get - a used entry that is being taken
 * @q: its queue, NULL if it is not traced
 * @used: the entry
 * @there: whether there is one
 * @num_free: how many descriptors were free before
 * @before: as pykit_probe_used_before() had it
 */
struct pykit_probe_get {
	struct pykit_probe_queue *q;
	struct pykit_used used;
	bool there;
	unsigned int num_free;
	int before;
};

static void pykit_probe_look_used(struct pykit_probe_get *get)
{
	get->there = pykit_ring_before_get(&get->q->ring, &get->used);
	if (get->there && get->q->blk)
		pykit_probe_blk_look(get->q, &get->used);
}

static struct pykit_probe_get pykit_probe_before_get(struct virtqueue *vq)
{
	struct pykit_probe_get get = {
		.q = pykit_probe_enter_queue(vq),
		.num_free = vq->num_free,
		.before = -1,
	};

	if (!get.q)
		get.before = pykit_probe_used_before(vq);
	else if (get.q->taking)
		get.q = NULL;
	if (get.q) {
		get.q->taking = true;
		pykit_ring_enter(&get.q->ring);
		/* A broken queue the core does not look at. */
		if (!virtqueue_is_broken(vq))
			pykit_probe_look_used(&get);
		if (get.there)
			pykit_ring_look(&get.q->ring, &get.used);
	}
	return get;
}

static void *pykit_probe_after_get(struct virtqueue *vq, struct pykit_probe_get *get, void *buf)
{
	struct pykit_probe_queue *q = get->q;

	/* The core found nothing to take: it has got as far as the device. */
	if (!buf && get->before >= 0 && get->before == pykit_probe_used_before(vq))
		pykit_probe_join_queue(vq, get->before);

	if (q) {
		/* What came after we looked stands there still. */
		if (buf && !get->there)
			pykit_probe_look_used(get);
		/*
		 * A core that takes what is not there: what stands in its place says so.
		 * With IN_ORDER it takes a batch from one entry.
		 */
		if (buf && !get->there && !virtio_has_feature(vq->vdev, VIRTIO_F_IN_ORDER)) {
			pykit_ring_read_used(&q->ring, &get->used);
			get->there = true;
		}
		if (get->there)
			pykit_ring_after_get(&q->ring, &get->used, buf, get->num_free);
		if (get->there && buf && q->blk)
			pykit_probe_blk_done(q, &get->used, buf);
		pykit_ring_leave(&q->ring);
		q->taking = false;
	}
	pykit_hook_leave();
	return buf;
}

static void *pykit_probe_get_buf_ctx(struct virtqueue *vq, unsigned int *len, void **ctx)
{
	struct pykit_probe_get get = pykit_probe_before_get(vq);

	return pykit_probe_after_get(vq, &get, virtqueue_get_buf_ctx(vq, len, ctx));
}

static void *pykit_probe_get_buf(struct virtqueue *vq, unsigned int *len)
{
	struct pykit_probe_get get = pykit_probe_before_get(vq);

	return pykit_probe_after_get(vq, &get, virtqueue_get_buf(vq, len));
}

static void pykit_probe_disable_cb(struct virtqueue *vq)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	/* Others may do this at any time, from an interrupt. */
	struct pykit_probe_queue *serial = q && q->blk ? q : NULL;

	pykit_probe_enter_ring(serial);
	virtqueue_disable_cb(vq);
	if (q)
		pykit_ring_callback(&q->ring, false, false);
	pykit_probe_leave_ring(serial);
	pykit_hook_leave();
}

static bool pykit_probe_enable_cb(struct virtqueue *vq)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	bool enabled;

	pykit_probe_enter_ring(q);
	if (q)
		q->enabling = true;
	enabled = virtqueue_enable_cb(vq);
	if (q) {
		q->enabling = false;
		pykit_ring_callback(&q->ring, true, !enabled);
	}
	pykit_probe_leave_ring(q);
	pykit_hook_leave();
	return enabled;
}

static unsigned int pykit_probe_enable_cb_prepare(struct virtqueue *vq)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	struct pykit_probe_queue *outer = q && !q->enabling ? q : NULL;
	unsigned int last_used;
	struct pykit_used used;

	pykit_probe_enter_ring(outer);
	last_used = virtqueue_enable_cb_prepare(vq);
	if (!q)
		pykit_probe_join_queue(vq, last_used);
	else if (outer)
		pykit_ring_callback(&q->ring, true,
				    pykit_ring_before_get(&q->ring, &used));
	pykit_probe_leave_ring(outer);
	pykit_hook_leave();
	return last_used;
}

static bool pykit_probe_poll(struct virtqueue *vq, unsigned int last_used)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	bool more = virtqueue_poll(vq, last_used);

	/* An empty ring was already traced when interrupts were enabled. */
	if (q && !q->enabling && more)
		pykit_ring_callback(&q->ring, true, true);
	pykit_hook_leave();
	return more;
}

static bool pykit_probe_enable_cb_delayed(struct virtqueue *vq)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	bool enabled;

	pykit_probe_enter_ring(q);
	enabled = virtqueue_enable_cb_delayed(vq);
	if (q)
		pykit_ring_callback(&q->ring, true, !enabled);
	pykit_probe_leave_ring(q);
	pykit_hook_leave();
	return enabled;
}

static void *pykit_probe_detach_unused_buf(struct virtqueue *vq)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	unsigned int num_free = vq->num_free;
	void *buf;

	pykit_probe_enter_ring(q);
	buf = virtqueue_detach_unused_buf(vq);
	if (q && buf)
		pykit_ring_detached(&q->ring, num_free);
	pykit_probe_leave_ring(q);
	pykit_hook_leave();
	return buf;
}

static void pykit_probe_trace_broken(struct virtqueue *vq, enum pykit_queue_op op)
{
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);

	if (q)
		pykit_ring_trace_broken(&q->ring, op);
}

static void pykit_probe_break_queue(struct virtqueue *vq)
{
	pykit_probe_trace_broken(vq, PYKIT_QUEUE_BROKEN);
	__virtqueue_break(vq);
	pykit_hook_leave();
}

static void pykit_probe_unbreak_queue(struct virtqueue *vq)
{
	pykit_probe_trace_broken(vq, PYKIT_QUEUE_UNBROKEN);
	__virtqueue_unbreak(vq);
	pykit_hook_leave();
}

/* Nothing keeps others from deleting its queues meanwhile. */
static void pykit_probe_trace_all_broken(struct virtio_device *vdev, enum pykit_queue_op op)
{
	struct pykit_probe_queue *q;
	int bucket;

	pykit_hook_enter();
	rcu_read_lock();
	hash_for_each_rcu(queues, bucket, q, node)
		/* The flag pairs with pykit_probe_join_queue(), as in pykit_probe_enter_queue(). */
		if (q->ring.vq->vdev == vdev && !smp_load_acquire(&q->joining))
			pykit_ring_trace_broken(&q->ring, op);
	rcu_read_unlock();
}

static void pykit_probe_break_device(struct virtio_device *vdev)
{
	pykit_probe_trace_all_broken(vdev, PYKIT_QUEUE_BROKEN);
	virtio_break_device(vdev);
	pykit_hook_leave();
}

static void pykit_probe_unbreak_device(struct virtio_device *vdev)
{
	pykit_probe_trace_all_broken(vdev, PYKIT_QUEUE_UNBROKEN);
	__virtio_unbreak_device(vdev);
	pykit_hook_leave();
}

static irqreturn_t pykit_probe_interrupt(int irq, void *_vq)
{
	struct virtqueue *vq = _vq;
	struct pykit_probe_queue *q = pykit_probe_enter_queue(vq);
	struct pykit_used used;
	irqreturn_t handled;
	bool hears, traced;

	/* The driver hears of it only if there is something to take. */
	hears = q && vq->callback && !virtqueue_is_broken(vq);
	traced = hears && pykit_ring_before_get(&q->ring, &used);
	if (traced)
		pykit_ring_trace_interrupt(&q->ring, irq);
	handled = vring_interrupt(irq, _vq);
	/* It came after we looked, before the core did. */
	if (hears && !traced && handled == IRQ_HANDLED)
		pykit_ring_trace_interrupt(&q->ring, irq);
	else if (hears && !traced)
		pykit_ring_trace_stray(&q->ring, irq);
	pykit_hook_leave();
	return handled;
}

static struct pykit_probe_queue *pykit_probe_alloc_queue(struct virtqueue *vq, unsigned int count)
{
	struct pykit_probe_queue *q = kzalloc(sizeof(*q), GFP_KERNEL);
	int err = q ? pykit_ring_init(&q->ring, vq, PYKIT_BY_PROBE, count) : -ENOMEM;

	if (!err && vq->vdev->id.device == VIRTIO_ID_BLOCK) {
		q->blk = pykit_probe_blk_alloc(&q->ring);
		if (!q->blk)
			err = -ENOMEM;
	}
	if (!err && pykit_probe_canaries)
		err = pykit_ring_watch(&q->ring);
	if (!err)
		return q;
	dev_err(&vq->vdev->dev, "queue %u cannot be watched: error %d\n",
		vq->index, err);
	if (q) {
		pykit_ring_free(&q->ring);
		pykit_probe_blk_free(q->blk);
	}
	kfree(q);
	return NULL;
}

static void pykit_probe_watch_queue(struct virtqueue *vq, unsigned int count, bool joining)
{
	struct pykit_probe_queue *q = pykit_probe_alloc_queue(vq, count);

	if (!q)
		return;
	q->joining = joining;
	if (!joining)
		pykit_ring_begin(&q->ring);
	mutex_lock(&queues_lock);
	hash_add_rcu(queues, &q->node, (unsigned long)vq);
	mutex_unlock(&queues_lock);
}

static unsigned int pykit_probe_count_queues(struct virtio_device *vdev)
{
	struct virtqueue *vq;
	unsigned int count = 0;

	virtio_device_for_each_vq(vdev, vq)
		count++;
	return count;
}

/**
 * pykit_probe_queues_found() - a device's queues were set up
 * @vdev: the device
 * @count: how many its driver asked for
 */
void pykit_probe_queues_found(struct virtio_device *vdev, unsigned int count)
{
	struct virtqueue *vq;

	virtio_device_for_each_vq(vdev, vq)
		pykit_probe_watch_queue(vq, count, false);
}

/**
 * pykit_probe_queues_join() - a device's queues may be in use
 * @vdev: the device, locked
 */
void pykit_probe_queues_join(struct virtio_device *vdev)
{
	unsigned int count = pykit_probe_count_queues(vdev);
	struct virtqueue *vq;

	virtio_device_for_each_vq(vdev, vq)
		pykit_probe_watch_queue(vq, count, true);
}

/**
 * pykit_probe_queue_enabled() - a queue was set up again
 * @vq: the queue
 */
void pykit_probe_queue_enabled(struct virtqueue *vq)
{
	pykit_probe_watch_queue(vq, pykit_probe_count_queues(vq->vdev), false);
}

/* Forget the queues of a device, or one of them, or those of all devices. */
static void pykit_probe_forget_queues(const struct virtio_device *vdev, const struct virtqueue *vq,
				      enum pykit_queue_op op)
{
	struct hlist_node *next;
	struct pykit_probe_queue *q;
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
		/* Where the driver goes on, it did so unseen. */
		if (op != PYKIT_QUEUE_LEFT)
			pykit_ring_enter(&q->ring);
		if (!q->joining)
			pykit_ring_end(&q->ring, op);
		pykit_ring_free(&q->ring);
		pykit_probe_blk_free(q->blk);
		kfree(q);
	}
}

/**
 * pykit_probe_queues_deleted() - a device's queues are about to be deleted
 * @vdev: the device
 */
void pykit_probe_queues_deleted(struct virtio_device *vdev)
{
	pykit_probe_forget_queues(vdev, NULL, PYKIT_QUEUE_DELETED);
}

/**
 * pykit_probe_queue_disabled() - a queue is about to be reset by itself
 * @vq: the queue
 */
void pykit_probe_queue_disabled(struct virtqueue *vq)
{
	pykit_probe_forget_queues(vq->vdev, vq, PYKIT_QUEUE_DELETED);
}

/**
 * pykit_probe_queues_leave() - stop tracing queues
 *
 * The hooks are removed one by one. Tracing of a queue stops before that, between
 * two operations on it: its trace ends early, but has no gaps.
 */
void pykit_probe_queues_leave(void)
{
	WRITE_ONCE(leaving, true);
}

/**
 * pykit_probe_queues_exit() - free the queues when no call is in a replacement
 */
void pykit_probe_queues_exit(void)
{
	pykit_probe_forget_queues(NULL, NULL, PYKIT_QUEUE_LEFT);
}

static const struct pykit_hook hooks[] = {
	PYKIT_HOOK(virtqueue_add_sgs, pykit_probe_add_sgs),
	PYKIT_HOOK(virtqueue_add_outbuf, pykit_probe_add_outbuf),
	PYKIT_HOOK(virtqueue_add_inbuf, pykit_probe_add_inbuf),
	PYKIT_HOOK(virtqueue_add_inbuf_ctx, pykit_probe_add_inbuf_ctx),
	PYKIT_HOOK(COMPAT_ADD_OUTBUF_PREMAPPED, pykit_probe_add_outbuf_premapped),
	PYKIT_HOOK(COMPAT_ADD_INBUF_PREMAPPED, pykit_probe_add_inbuf_premapped),
	PYKIT_HOOK(COMPAT_ADD_INBUF_CACHE_CLEAN, pykit_probe_add_inbuf_cache_clean),
	PYKIT_HOOK(virtqueue_kick_prepare, pykit_probe_kick_prepare),
	PYKIT_HOOK(virtqueue_notify, pykit_probe_notify),
	PYKIT_HOOK(virtqueue_kick, pykit_probe_kick),
	PYKIT_HOOK(virtqueue_get_buf_ctx, pykit_probe_get_buf_ctx),
	PYKIT_HOOK(virtqueue_get_buf, pykit_probe_get_buf),
	PYKIT_HOOK(virtqueue_disable_cb, pykit_probe_disable_cb),
	PYKIT_HOOK(virtqueue_enable_cb, pykit_probe_enable_cb),
	PYKIT_HOOK(virtqueue_enable_cb_prepare, pykit_probe_enable_cb_prepare),
	PYKIT_HOOK(virtqueue_poll, pykit_probe_poll),
	PYKIT_HOOK(virtqueue_enable_cb_delayed, pykit_probe_enable_cb_delayed),
	PYKIT_HOOK(virtqueue_detach_unused_buf, pykit_probe_detach_unused_buf),
	PYKIT_HOOK(__virtqueue_break, pykit_probe_break_queue),
	PYKIT_HOOK(__virtqueue_unbreak, pykit_probe_unbreak_queue),
	PYKIT_HOOK(virtio_break_device, pykit_probe_break_device),
	PYKIT_HOOK(__virtio_unbreak_device, pykit_probe_unbreak_device),
	PYKIT_HOOK(vring_interrupt, pykit_probe_interrupt),
};

/**
 * pykit_probe_queue_init() - note what to hook
 *
 * Return: as pykit_hook_add().
 */
int pykit_probe_queue_init(void)
{
	kick_decides = !pykit_hook_calls((unsigned long)virtqueue_kick,
					 (unsigned long)virtqueue_kick_prepare);
	return pykit_hook_add(hooks, ARRAY_SIZE(hooks));
}
