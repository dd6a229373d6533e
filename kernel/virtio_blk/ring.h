/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtqueues: the core's operations, as queue.c calls them for every request.
 *
 * While no event is enabled, an operation costs what it costs the kernel's own
 * driver, plus the few instructions that keep track of the ring's position: events
 * may be enabled at any time. While they are enabled, ring.c traces the operation.
 */
#ifndef PYKIT_BLK_RING_H
#define PYKIT_BLK_RING_H

#include "pykit_blk.h"

int pykit_blk_ring_add_watched(struct pykit_blk_vq *q, struct scatterlist *sgs[],
			       unsigned int out, unsigned int in,
			       struct pykit_blk_req *token, u8 *status,
			       u64 *status_addr);
bool pykit_blk_ring_kick_watched(struct pykit_blk_vq *q);
struct pykit_blk_req *pykit_blk_ring_get_watched(struct pykit_blk_vq *q, u32 *len);
void pykit_blk_ring_empty(struct pykit_blk_vq *q, struct virtqueue *vq);
void pykit_blk_ring_watch_still(struct pykit_blk_dev *dev);

/**
 * pykit_blk_ring_tells_adds() - whether events are wanted that a chain is read for
 *
 * Return: whether one of them is enabled.
 */
static inline bool pykit_blk_ring_tells_adds(void)
{
	return trace_pykit_add_enabled() || trace_pykit_desc_enabled() ||
	       trace_pykit_blk_start_enabled() || trace_pykit_blk_wrote_enabled();
}

/**
 * pykit_blk_ring_watches_adds() - whether pykit_blk_ring_add_watched() is to be called
 * @q: the queue, locked
 *
 * The buffer ids of a packed ring cannot be determined later; when asked to add to a
 * full ring the core notifies the device by itself, which has to be traced; and what a
 * disk holds is known only if each change was seen.
 *
 * Return: false if pykit_blk_ring_add() will do.
 */
static inline bool pykit_blk_ring_watches_adds(struct pykit_blk_vq *q)
{
	return PYKIT_HAS_FAULTS || pykit_blk_ring_tells_adds() ||
	       trace_pykit_notify_enabled() || trace_pykit_add_failed_enabled() ||
	       q->ring.is_packed || q->data;
}

/**
 * pykit_blk_ring_add() - make a request available without tracing
 * @q: the queue, locked
 * @sgs: what the device reads, then what it writes
 * @out: how many scatterlists it reads
 * @in: how many it writes
 * @token: the request
 *
 * Return: 0, -ENOSPC if the ring is full, -EIO if it is broken, -ENOMEM.
 */
static inline int pykit_blk_ring_add(struct pykit_blk_vq *q,
				     struct scatterlist *sgs[], unsigned int out,
				     unsigned int in, struct pykit_blk_req *token)
{
	int err = virtqueue_add_sgs(q->vq, sgs, out, in, token, GFP_ATOMIC);

	q->ring.is_back = false;
	if (!err)
		q->ring.next_avail++;
	return err;
}

/**
 * pykit_blk_ring_kick_prepare() - decide whether to notify the device
 * @q: the queue, locked
 *
 * Return: whether to call pykit_blk_ring_notify(), from the same task, after the
 * lock was released.
 */
static inline bool pykit_blk_ring_kick_prepare(struct pykit_blk_vq *q)
{
	bool needed;

	if (trace_pykit_kick_enabled()) {
		needed = pykit_blk_ring_kick_watched(q);
	} else {
		needed = virtqueue_kick_prepare(q->vq);
		q->ring.kick_idx = q->ring.next_avail;
	}
	return pykit_fault_result(pykit_blk_fault_kick(q, needed), needed);
}

/**
 * pykit_blk_ring_notify() - notify the device
 * @q: the queue; need not be locked
 */
static inline void pykit_blk_ring_notify(struct pykit_blk_vq *q)
{
	if (trace_pykit_notify_enabled())
		pykit_ring_trace_notify(&q->ring);
	virtqueue_notify(q->vq);
}

/**
 * pykit_blk_ring_get() - take the next used entry
 * @q: the queue, locked
 * @len: where to say how much the device wrote
 *
 * Return: the request, NULL if there is none or the queue is broken. Its head is
 * set where blk_done is enabled.
 */
static inline struct pykit_blk_req *pykit_blk_ring_get(struct pykit_blk_vq *q,
						       u32 *len)
{
	unsigned int num_free = q->vq->num_free;
	struct pykit_blk_req *token;

	if (PYKIT_HAS_FAULTS || trace_pykit_used_enabled() ||
	    trace_pykit_blk_done_enabled())
		return pykit_blk_ring_get_watched(q, len);
	token = virtqueue_get_buf(q->vq, len);
	q->ring.left = false;
	if (token)
		pykit_ring_took(&q->ring, token->head, num_free);
	return token;
}

/**
 * pykit_blk_ring_interrupt() - the device has sent an interrupt
 * @q: the queue; need not be locked
 */
static inline void pykit_blk_ring_interrupt(struct pykit_blk_vq *q)
{
	if (trace_pykit_interrupt_enabled())
		pykit_ring_trace_interrupt(&q->ring, q->irq);
}

/**
 * pykit_blk_ring_disable_cb() - ask the device not to interrupt
 * @q: the queue, locked
 */
static inline void pykit_blk_ring_disable_cb(struct pykit_blk_vq *q)
{
	virtqueue_disable_cb(q->vq);
	pykit_fault_call(pykit_blk_fault_callback(q));
	if (trace_pykit_callback_enabled())
		pykit_ring_callback(&q->ring, false, false);
	else
		q->ring.left = false;
}

/**
 * pykit_blk_ring_enable_cb() - ask the device to interrupt
 * @q: the queue, locked
 *
 * Return: false if there is more to take already.
 */
static inline bool pykit_blk_ring_enable_cb(struct pykit_blk_vq *q)
{
	bool enabled = virtqueue_enable_cb(q->vq);

	pykit_fault_call(pykit_blk_fault_callback(q));
	if (trace_pykit_callback_enabled())
		pykit_ring_callback(&q->ring, true, !enabled);
	else
		q->ring.left = false;
	return enabled;
}

#endif /* PYKIT_BLK_RING_H */
