// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of virtqueues that are no interrupts of the machine.
 *
 * The loopback calls the core's handler by itself, and a driver is called back for those
 * alone that bring something. A driver that counts all of them stands in between.
 */
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/virtio_ring.h>

#include <pykit_ring.h>

static pykit_irq_handler *handler = vring_interrupt;

/**
 * pykit_irq_came() - let a virtqueue's driver have an interrupt
 * @irq: its number
 * @vq: the virtqueue
 *
 * Return: IRQ_NONE if it brought nothing.
 */
irqreturn_t pykit_irq_came(int irq, struct virtqueue *vq)
{
	irqreturn_t handled;

	rcu_read_lock();
	handled = READ_ONCE(handler)(irq, vq);
	rcu_read_unlock();
	return handled;
}
EXPORT_SYMBOL_GPL(pykit_irq_came);

/**
 * pykit_irq_lead() - lead the interrupts of all virtqueues elsewhere
 * @to: what calls vring_interrupt() in the end; NULL for that itself
 */
void pykit_irq_lead(pykit_irq_handler *to)
{
	WRITE_ONCE(handler, to ?: vring_interrupt);
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(pykit_irq_lead);
