// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtqueues: kicks go to the back-end's eventfd, its calls become interrupts.
 *
 * A call is noticed under the lock of its eventfd, where another eventfd must not
 * be signalled, as a driver's callback may want to. It is passed on by irq_work,
 * which also gives the callback the context that it expects: a hard interrupt.
 */
#include <linux/file.h>
#include <linux/slab.h>

#include <pykit_ring.h>

#include "../compat/eventfd.h"
#include "pykit_loopback.h"

static bool pykit_loopback_notify(struct virtqueue *vq)
{
	struct pykit_loopback_vq *q = vq->priv;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	pykit_loopback_answer_track(q);
	spin_unlock_irqrestore(&q->lock, flags);
	/* Pairs with pykit_loopback_destroy(): one of the two sees the other. */
	smp_mb();
	if (READ_ONCE(q->device->gone))
		irq_work_queue(&q->deliver);
	else
		compat_eventfd_signal(q->kick);
	return true;
}

/*
 * The interrupt's number is the queue's, from 1 on; 0 is none that the back-end has
 * called for.
 */
static void pykit_loopback_interrupt(struct pykit_loopback_vq *q, bool called)
{
	unsigned int number = called ? q - q->device->vqs + 1 : 0;
	struct virtqueue *vq;
	unsigned long flags;

	if (!READ_ONCE(q->device->running))
		return;
	spin_lock_irqsave(&q->lock, flags);
	vq = q->vq;
	if (vq && READ_ONCE(q->device->gone))
		pykit_loopback_answer_pending(q);
	else if (vq)
		pykit_loopback_answer_track(q);
	spin_unlock_irqrestore(&q->lock, flags);
	/* Deletion of the queue waits for this irq_work. */
	if (vq)
		pykit_irq_came(number, vq);
}

static void pykit_loopback_deliver(struct irq_work *work)
{
	struct pykit_loopback_vq *q = container_of(work, struct pykit_loopback_vq, deliver);

	pykit_loopback_interrupt(q, !READ_ONCE(q->device->gone));
}

static void pykit_loopback_deliver_late(struct work_struct *work)
{
	struct delayed_work *late = to_delayed_work(work);

	irq_work_queue(&container_of(late, struct pykit_loopback_vq, late)->deliver);
}

static bool pykit_loopback_one_in(unsigned int every, unsigned int count)
{
	return every && !(count % every);
}

static void pykit_loopback_handle_call(struct irq_work *work)
{
	struct pykit_loopback_vq *q = container_of(work, struct pykit_loopback_vq,
						   called);
	const struct pykit_loopback_device *about = &q->device->about;
	unsigned int count = ++q->calls;

	if (pykit_loopback_one_in(about->drop_every, count))
		return;
	if (pykit_loopback_one_in(about->delay_every, count)) {
		queue_delayed_work(pykit_loopback_wq, &q->late,
				   msecs_to_jiffies(about->delay_ms));
		return;
	}
	pykit_loopback_interrupt(q, true);
	if (pykit_loopback_one_in(about->fake_every, count))
		pykit_loopback_interrupt(q, false);
}

static int pykit_loopback_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct pykit_loopback_vq *q = container_of(wait, struct pykit_loopback_vq,
						   wait);

	if (key_to_poll(key) & EPOLLIN)
		irq_work_queue(&q->called);
	return 0;
}

static void pykit_loopback_enter_wait_queue(struct file *file, wait_queue_head_t *wqh,
					    poll_table *table)
{
	struct pykit_loopback_vq *q = container_of(table,
						   struct pykit_loopback_vq,
						   table);

	q->wqh = wqh;
	add_wait_queue(wqh, &q->wait);
}

/**
 * pykit_loopback_queue_init() - make a queue known
 * @q: queue, all zeroes
 * @l: its device
 */
void pykit_loopback_queue_init(struct pykit_loopback_vq *q, struct pykit_loopback *l)
{
	q->device = l;
	spin_lock_init(&q->lock);
	init_waitqueue_func_entry(&q->wait, pykit_loopback_wake);
	init_poll_funcptr(&q->table, pykit_loopback_enter_wait_queue);
	init_irq_work(&q->called, pykit_loopback_handle_call);
	init_irq_work(&q->deliver, pykit_loopback_deliver);
	INIT_DELAYED_WORK(&q->late, pykit_loopback_deliver_late);
}

/**
 * pykit_loopback_queue_events() - give a queue its eventfds
 * @q: queue
 * @kick: file descriptor of the eventfd to signal when the driver notifies
 * @call: file descriptor of the eventfd that interrupts the driver
 *
 * Return: 0, or an error: those of fget() and eventfd, or -EBUSY if it has some.
 */
int pykit_loopback_queue_events(struct pykit_loopback_vq *q, int kick, int call)
{
	struct eventfd_ctx *ctx;
	struct file *file;

	if (q->kick)
		return -EBUSY;
	ctx = eventfd_ctx_fdget(kick);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	file = eventfd_fget(call);
	if (IS_ERR(file)) {
		eventfd_ctx_put(ctx);
		return PTR_ERR(file);
	}
	q->kick = ctx;
	q->call = file;
	vfs_poll(file, &q->table);
	return 0;
}

/**
 * pykit_loopback_queue_release() - let go of a queue's eventfds
 * @q: queue that is not set up
 */
void pykit_loopback_queue_release(struct pykit_loopback_vq *q)
{
	if (!q->kick)
		return;
	remove_wait_queue(q->wqh, &q->wait);
	pykit_loopback_queue_quiesce(q);
	fput(q->call);
	eventfd_ctx_put(q->kick);
}

/**
 * pykit_loopback_queue_set_up() - make a virtqueue
 * @q: queue
 * @callback: the driver's, for interrupts
 * @name: the driver's name for it
 * @ctx: whether the driver keeps a context with each buffer
 *
 * Return: the virtqueue or an error.
 */
struct virtqueue *pykit_loopback_queue_set_up(struct pykit_loopback_vq *q,
					      vq_callback_t *callback, const char *name,
					      bool ctx)
{
	struct pykit_loopback *l = q->device;
	unsigned int index = q - l->vqs;
	struct virtqueue *vq;
	int err;

	if (index >= l->about.num_queues)
		return ERR_PTR(-ENOENT);
	vq = vring_create_virtqueue(index, q->about.size, SMP_CACHE_BYTES,
				    &l->vdev, true, true, ctx, pykit_loopback_notify, callback,
				    name);
	if (!vq)
		return ERR_PTR(-ENOMEM);
	vq->num_max = q->about.size;
	vq->priv = q;
	q->vring = virtqueue_get_vring(vq);
	err = pykit_loopback_answer_start(q);
	if (err) {
		vring_del_virtqueue(vq);
		return ERR_PTR(err);
	}
	q->ring.desc = virtqueue_get_desc_addr(vq);
	q->ring.avail = virtqueue_get_avail_addr(vq);
	q->ring.used = virtqueue_get_used_addr(vq);
	q->ring.size = virtqueue_get_vring_size(vq);
	spin_lock_irq(&q->lock);
	q->vq = vq;
	spin_unlock_irq(&q->lock);
	return vq;
}

/**
 * pykit_loopback_queue_quiesce() - have no interrupt under way
 * @q: queue whose back-end has stopped
 */
void pykit_loopback_queue_quiesce(struct pykit_loopback_vq *q)
{
	irq_work_sync(&q->called);
	cancel_delayed_work_sync(&q->late);
	irq_work_sync(&q->deliver);
}

/**
 * pykit_loopback_queue_delete() - delete a virtqueue
 * @q: queue, which has one
 */
void pykit_loopback_queue_delete(struct pykit_loopback_vq *q)
{
	struct virtqueue *vq = q->vq;

	spin_lock_irq(&q->lock);
	q->vq = NULL;
	spin_unlock_irq(&q->lock);
	pykit_loopback_queue_quiesce(q);
	pykit_loopback_answer_stop(q);
	memset(&q->ring, 0, sizeof(q->ring));
	vring_del_virtqueue(vq);
}
