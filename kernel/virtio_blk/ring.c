// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtqueues: the core's operations, each traced before and after, and the faults
 * in between.
 */
#include <linux/delay.h>

#include "ring.h"

/* How long a device is watched that was reset. */
#define STILL_MS	50

/* The address given to the device for the status byte at @status. */
static u64 pykit_blk_status_address(struct pykit_blk_vq *q, unsigned int n, u8 *status)
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
	return n ? descs[n - 1].addr : 0;
}

/* An add to a full ring would make the core notify, even if that is suppressed. */
static bool pykit_blk_is_full(struct virtqueue *vq, const struct pykit_sgs *s)
{
	return unlikely(vq->num_free < s->slots) && !virtqueue_is_broken(vq);
}

/**
 * pykit_blk_ring_add_watched() - make a request available, and trace it
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
int pykit_blk_ring_add_watched(struct pykit_blk_vq *q, struct scatterlist *sgs[],
			       unsigned int out, unsigned int in,
			       struct pykit_blk_req *token, u8 *status,
			       u64 *status_addr)
{
	struct pykit_sgs s = { .sgs = sgs, .out = out, .in = in };
	bool full;
	int err;

	pykit_ring_before_add(&q->ring, &s);
	full = pykit_blk_is_full(q->vq, &s);
	err = full ? -ENOSPC :
		     virtqueue_add_sgs(q->vq, sgs, out, in, token, GFP_ATOMIC);
	if (err) {
		pykit_ring_add_failed(&q->ring, &s, err, !full);
		return err;
	}
	pykit_fault_call(pykit_blk_fault_damage(q));
	pykit_ring_after_add(&q->ring, &s);
	token->head = s.chain.head;
	if (pykit_blk_ring_tells_adds())
		*status_addr = pykit_blk_status_address(q, pykit_ring_walk(&q->ring, &s),
							status);
	pykit_fault_call(pykit_blk_fault_undo(q));
	return 0;
}

/**
 * pykit_blk_ring_kick_watched() - decide whether to notify the device, and trace it
 * @q: the queue, locked
 *
 * Return: whether it is needed.
 */
bool pykit_blk_ring_kick_watched(struct pykit_blk_vq *q)
{
	struct pykit_kick kick;
	bool needed;

	pykit_ring_before_kick(&q->ring, &kick);
	needed = virtqueue_kick_prepare(q->vq);
	pykit_ring_after_kick(&q->ring, &kick, needed);
	return needed;
}

/**
 * pykit_blk_ring_get_watched() - take the next used entry, and trace it
 * @q: the queue, locked
 * @len: where to say how much the device wrote
 *
 * Return: the request; its head is set. NULL if there is none or the queue is
 * broken.
 */
struct pykit_blk_req *pykit_blk_ring_get_watched(struct pykit_blk_vq *q, u32 *len)
{
	unsigned int num_free = q->vq->num_free;
	struct pykit_blk_req *token;
	struct pykit_used used;

	if (!pykit_ring_before_get(&q->ring, &used))
		return NULL;
	pykit_ring_look(&q->ring, &used);
	pykit_fault_call(pykit_blk_fault_before_get(q, &used));
	token = virtqueue_get_buf(q->vq, len);
	pykit_ring_after_get(&q->ring, &used, token, num_free);
	/* It may have been added before anybody listened. */
	if (token && !PYKIT_HAS_FAULTS)
		token->head = used.id;
	if (token && pykit_fault_result(pykit_blk_fault_used_again(q), false)) {
		pykit_ring_read_used(&q->ring, &used);
		pykit_trace_vq(used, &q->ring.vqid, &used);
	}
	return token;
}

/**
 * pykit_blk_ring_empty() - take back what the device did not use
 * @q: the queue, locked or without other users; its device was reset
 * @vq: its virtqueue, of which nothing may be tracked yet
 */
void pykit_blk_ring_empty(struct pykit_blk_vq *q, struct virtqueue *vq)
{
	unsigned int num_free = vq->num_free;

	while (virtqueue_detach_unused_buf(vq)) {
		pykit_ring_detached(&q->ring, num_free);
		num_free = vq->num_free;
	}
}

/**
 * pykit_blk_ring_watch_still() - watch for a moment whether a device uses its queues
 * @dev: the device; it was reset, and nothing is taken from its queues any more
 */
void pykit_blk_ring_watch_still(struct pykit_blk_dev *dev)
{
	unsigned int i;

	if (!trace_pykit_quiet_enabled())
		return;
	for (i = 0; i < dev->num_vqs; i++)
		pykit_ring_still_before(&dev->vqs[i].ring);
	msleep(STILL_MS);
	for (i = 0; i < dev->num_vqs; i++)
		pykit_ring_still_after(&dev->vqs[i].ring);
}
