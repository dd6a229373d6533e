// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtqueues: the core's operations, each told of before and after, and what
 * goes wrong in between.
 *
 * Where nobody listens an operation costs what it costs the kernel's own driver,
 * and the few instructions that keep track of where the ring is: somebody may
 * begin to listen at any time.
 */
#include "pykit_blk.h"

/* Where the device was told to write the status byte that is at @status. */
static u64 status_address(struct pykit_blk_vq *q, unsigned int n, u8 *status)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_desc *descs = q->ring.descs;
	unsigned int i;

	if (virtio_has_dma_quirk(vdev))
		return virt_to_phys(status);
	for (i = n; i--;)
		if (pykit_ring_memory(vdev, descs[i].addr) == status)
			return descs[i].addr;
	/* Bounced: only the core knows, and it wrote it last. */
	return descs[n - 1].addr;
}

/* Whether events are wanted that a walk along the chain is made for. */
static bool walks(void)
{
	return trace_pykit_add_enabled() || trace_pykit_desc_enabled() ||
	       trace_pykit_blk_start_enabled();
}

/* Asked to add to a full ring the core rings the doorbell unseen. */
static bool is_full(struct virtqueue *vq, struct scatterlist *sgs[],
		    unsigned int lists)
{
	unsigned int i, needed = 0;
	struct scatterlist *sg;

	if (virtio_has_feature(vq->vdev, VIRTIO_RING_F_INDIRECT_DESC))
		needed = 1;
	else
		for (i = 0; i < lists; i++)
			for (sg = sgs[i]; sg; sg = sg_next(sg))
				needed++;
	return unlikely(vq->num_free < needed) && !virtqueue_is_broken(vq);
}

/* With all that is told of it. */
static int add_watched(struct pykit_blk_vq *q, struct pykit_sgs *s,
		       struct pykit_blk_req *token, u8 *status,
		       u64 *status_addr)
{
	int err;

	pykit_ring_before_add(&q->ring, s);
	err = virtqueue_add_sgs(q->vq, s->sgs, s->out, s->in, token, GFP_ATOMIC);
	if (err)
		return err;
	pykit_fault_damage(q);
	pykit_ring_after_add(&q->ring, s);
	token->head = s->chain.head;
	if (walks())
		*status_addr = status_address(q, pykit_ring_walk(&q->ring, s),
					      status);
	pykit_fault_mend(q);
	return 0;
}

/**
 * pykit_ring_add() - make a request available
 * @q: the queue, locked
 * @sgs: what the device reads, then what it writes
 * @out: how many scatterlists it reads
 * @in: how many it writes
 * @token: the request; its head is set
 * @status: the request's status byte
 * @status_addr: where to say how the device addresses that
 *
 * Return: 0, -ENOSPC if the ring is full, -EIO if it is broken, -ENOMEM.
 */
int pykit_ring_add(struct pykit_blk_vq *q, struct scatterlist *sgs[],
		   unsigned int out, unsigned int in,
		   struct pykit_blk_req *token, u8 *status, u64 *status_addr)
{
	struct pykit_ring *r = &q->ring;
	u16 slot;
	int err;

	if (is_full(q->vq, sgs, out + in))
		return -ENOSPC;
	/* A packed ring's buffer ids cannot be told later. */
	if (r->is_packed || walks() || __is_defined(PYKIT_FAULT)) {
		struct pykit_sgs s = { .sgs = sgs, .out = out, .in = in };

		return add_watched(q, &s, token, status, status_addr);
	}
	err = virtqueue_add_sgs(q->vq, sgs, out, in, token, GFP_ATOMIC);
	if (err)
		return err;
	slot = r->next_avail++ & (r->size - 1);
	token->head = virtio16_to_cpu(q->vq->vdev, r->split->avail->ring[slot]);
	return 0;
}

/**
 * pykit_ring_kick_prepare() - decide whether to notify the device
 * @q: the queue, locked
 *
 * Return: whether to call pykit_ring_notify(), from the same task, after the
 * lock was released.
 */
bool pykit_ring_kick_prepare(struct pykit_blk_vq *q)
{
	struct pykit_kick kick;
	bool needed;

	if (trace_pykit_kick_enabled()) {
		pykit_ring_before_kick(&q->ring, &kick);
		needed = virtqueue_kick_prepare(q->vq);
		pykit_ring_after_kick(&q->ring, &kick, needed);
	} else {
		needed = virtqueue_kick_prepare(q->vq);
		q->ring.kick_idx = q->ring.next_avail;
	}
	return needed && !pykit_fault_withhold(q);
}

/**
 * pykit_ring_notify() - notify the device
 * @q: the queue; need not be locked
 */
void pykit_ring_notify(struct pykit_blk_vq *q)
{
	if (trace_pykit_notify_enabled())
		pykit_ring_notifies(&q->ring);
	virtqueue_notify(q->vq);
}

static struct pykit_blk_req *get_watched(struct pykit_blk_vq *q, u32 *len)
{
	struct pykit_blk_req *token;
	struct pykit_used used;

	if (!pykit_ring_before_get(&q->ring, &used))
		return NULL;
	pykit_fault_before_get(q, &used);
	token = virtqueue_get_buf(q->vq, len);
	pykit_ring_after_get(&q->ring, &used, token);
	if (token && pykit_fault_take_again(q)) {
		pykit_ring_read_used(&q->ring, &used);
		pykit_trace_vq(used, &q->ring.at, &used);
	}
	return token;
}

/**
 * pykit_ring_get() - take the next used entry
 * @q: the queue, locked
 * @len: where to say how much the device wrote
 *
 * Return: the request, NULL if there is none or the queue is broken.
 */
struct pykit_blk_req *pykit_ring_get(struct pykit_blk_vq *q, u32 *len)
{
	struct pykit_ring *r = &q->ring;
	struct pykit_blk_req *token;

	if (trace_pykit_used_enabled() || __is_defined(PYKIT_FAULT))
		return get_watched(q, len);
	token = virtqueue_get_buf(q->vq, len);
	if (!token)
		return NULL;
	if (r->is_packed) {
		r->last_used = pykit_ring_advance(r, r->last_used,
						  r->slots[token->head]);
		r->slots[token->head] = 0;
	} else {
		r->last_used++;
	}
	return token;
}

/**
 * pykit_ring_interrupt() - the device has sent an interrupt
 * @q: the queue; need not be locked
 */
void pykit_ring_interrupt(struct pykit_blk_vq *q)
{
	if (trace_pykit_interrupt_enabled())
		pykit_ring_interrupts(&q->ring);
}

/**
 * pykit_ring_disable_cb() - ask the device not to interrupt
 * @q: the queue, locked
 */
void pykit_ring_disable_cb(struct pykit_blk_vq *q)
{
	virtqueue_disable_cb(q->vq);
	if (trace_pykit_callback_enabled())
		pykit_ring_callback(&q->ring, false, false);
}

/**
 * pykit_ring_enable_cb() - ask the device to interrupt
 * @q: the queue, locked
 *
 * Return: false if there is more to take already.
 */
bool pykit_ring_enable_cb(struct pykit_blk_vq *q)
{
	bool enabled = virtqueue_enable_cb(q->vq);

	if (trace_pykit_callback_enabled())
		pykit_ring_callback(&q->ring, true, !enabled);
	return enabled;
}
