// SPDX-License-Identifier: GPL-2.0-only
/*
 * The numbers of the queues' interrupts, and those interrupts that bring nothing.
 *
 * The core calls the driver back for the others alone. The tracepoints around all handlers
 * see each one, where a queue has a number of its own: the core's handler has the queue.
 * Those of the loopback are no interrupts of the machine, and are led here.
 */
#include <linux/interrupt.h>
#include <linux/tracepoint.h>
#include <linux/virtio.h>
#include <linux/virtio_ring.h>

#include "ring.h"

static struct tracepoint *entry, *leave;

/* Its queue, NULL if it is not one of this driver's. */
static struct pykit_blk_vq *pykit_blk_irq_queue(struct virtqueue *vq)
{
	struct pykit_blk_dev *dev = vq->vdev->priv;

	return vq->callback == pykit_blk_vq_done ? &dev->vqs[vq->index] : NULL;
}

static void pykit_blk_irq_before(struct virtqueue *vq, int irq)
{
	struct pykit_blk_vq *q = pykit_blk_irq_queue(vq);

	if (q)
		q->irq = irq;
}

static void pykit_blk_irq_after(struct virtqueue *vq, int irq, irqreturn_t handled)
{
	struct pykit_blk_vq *q;
	unsigned long flags;

	if (handled != IRQ_NONE || !trace_pykit_stray_enabled())
		return;
	q = pykit_blk_irq_queue(vq);
	if (!q)
		return;
	/* Queues that are about to be deleted are not looked at any more. */
	spin_lock_irqsave(&q->lock, flags);
	if (q->vq && q->ring.descs && !virtqueue_is_broken(q->vq))
		pykit_ring_trace_stray(&q->ring, irq);
	spin_unlock_irqrestore(&q->lock, flags);
}

static void pykit_blk_irq_entry(void *data, int irq, struct irqaction *action)
{
	if (action->handler == vring_interrupt)
		pykit_blk_irq_before(action->dev_id, irq);
}

static void pykit_blk_irq_leave(void *data, int irq, struct irqaction *action, int handled)
{
	if (action->handler == vring_interrupt)
		pykit_blk_irq_after(action->dev_id, irq, handled);
}

static irqreturn_t pykit_blk_irq_led(int irq, void *vq)
{
	irqreturn_t handled;

	pykit_blk_irq_before(vq, irq);
	handled = vring_interrupt(irq, vq);
	pykit_blk_irq_after(vq, irq, handled);
	return handled;
}

static void pykit_blk_irq_find(struct tracepoint *found, void *unused)
{
	if (!strcmp(found->name, "irq_handler_entry"))
		entry = found;
	else if (!strcmp(found->name, "irq_handler_exit"))
		leave = found;
}

/**
 * pykit_blk_irq_init() - begin to see the queues' interrupts
 *
 * Where a kernel has no such tracepoints the machine's numbers stay 0, and are not counted.
 */
void pykit_blk_irq_init(void)
{
	pykit_irq_lead(pykit_blk_irq_led);
	for_each_kernel_tracepoint(pykit_blk_irq_find, NULL);
	if (!entry || !leave || tracepoint_probe_register(entry, pykit_blk_irq_entry, NULL)) {
		entry = NULL;
		return;
	}
	/* Without it the numbers stay known. */
	if (tracepoint_probe_register(leave, pykit_blk_irq_leave, NULL))
		leave = NULL;
}

/**
 * pykit_blk_irq_exit() - see no interrupt any more
 */
void pykit_blk_irq_exit(void)
{
	pykit_irq_lead(NULL);
	if (!entry)
		return;
	tracepoint_probe_unregister(entry, pykit_blk_irq_entry, NULL);
	if (leave)
		tracepoint_probe_unregister(leave, pykit_blk_irq_leave, NULL);
	tracepoint_synchronize_unregister();
}
