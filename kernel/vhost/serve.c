// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtqueues: chains taken, answered, signalled.
 */
#include "../compat/eventfd.h"
#include "pykit_vhost.h"

/**
 * pykit_vhost_ring() - find a ring in the owner's memory
 * @vq: the queue, locked and prefetched
 * @at: the ring, as the owner addresses it
 * @type: which one
 *
 * Return: its address; with an IOTLB NULL, unless all of it lies in one piece.
 */
void __user *pykit_vhost_ring(struct vhost_virtqueue *vq, void __user *at,
			      enum vhost_uaddr_type type)
{
	const struct vhost_iotlb_map *map = vq->meta_iotlb[type];

	if (!vq->iotlb)
		return at;
	if (!map)
		return NULL;
	return (void __user *)(uintptr_t)(map->addr + (uintptr_t)at - map->start);
}

/* Trace a used entry as memory has it, which may differ from the arguments. */
static void pykit_vhost_trace_used(struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	u16 slot = (vq->last_used_idx - 1) & (vq->num - 1);
	vring_used_t __user *used = pykit_vhost_ring(vq, vq->used, VHOST_ADDR_USED);
	vring_avail_t __user *avail = pykit_vhost_ring(vq, vq->avail, VHOST_ADDR_AVAIL);
	__virtio16 used_idx, avail_idx;
	struct vring_used_elem entry;

	if (!trace_pykit_vhost_used_enabled() || !used || !avail ||
	    copy_from_user(&entry, &used->ring[slot], sizeof(entry)) ||
	    get_user(used_idx, &used->idx) || get_user(avail_idx, &avail->idx))
		return;
	pykit_trace_vq(vhost_used, &q->vqid, vhost32_to_cpu(vq, entry.id),
		       vhost32_to_cpu(vq, entry.len), vhost16_to_cpu(vq, used_idx),
		       vhost16_to_cpu(vq, avail_idx));
}

/**
 * pykit_vhost_answer() - return a chain to the driver
 * @q: the queue, locked
 * @a: what to say of it
 *
 * Return: 0, -EFAULT if the used ring cannot be written.
 */
int pykit_vhost_answer(struct pykit_vhost_vq *q, const struct pykit_answer *a)
{
	if (vhost_add_used(&q->vq, a->id, a->len))
		return -EFAULT;
	pykit_vhost_trace_used(q);
	return 0;
}

static void pykit_vhost_call_driver(struct vhost_virtqueue *vq)
{
	if (!vq->call_ctx.ctx)
		return;
	compat_eventfd_signal(vq->call_ctx.ctx);
}

/*
 * Signal as vhost_signal() does, but trace the very value that the decision was
 * based on. Where the field that the driver writes lies in pieces that only vhost
 * can find, vhost decides and the decision is not traced.
 */
static void pykit_vhost_signal_driver(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	vring_avail_t __user *avail = pykit_vhost_ring(vq, vq->avail, VHOST_ADDR_AVAIL);
	struct pykit_signal signal = {
		.old = vq->signalled_used,
		.new = vq->last_used_idx,
		.event_idx = vhost_has_feature(vq, VIRTIO_RING_F_EVENT_IDX),
		.valid = vq->signalled_used_valid,
	};
	bool needed = !signal.valid;
	__virtio16 event;

	/* The driver writes what it wants before it looks at the used index. */
	smp_mb();
	if (!avail || get_user(event, signal.event_idx ?
					(__virtio16 __user *)&avail->ring[vq->num] :
					&avail->flags)) {
		vhost_signal(&v->dev, vq);
		return;
	}
	signal.event = vhost16_to_cpu(vq, event);
	if (signal.event_idx)
		needed |= vring_need_event(signal.event, signal.new, signal.old);
	else
		needed = !(signal.event & VRING_AVAIL_F_NO_INTERRUPT);
	vq->signalled_used = signal.new;
	vq->signalled_used_valid = true;
	signal.sent = pykit_fault_result(pykit_vhost_fault_signal(q, &signal, needed),
					 needed);
	pykit_trace_vq(vhost_signal, &q->vqid, &signal);
	if (signal.sent)
		pykit_vhost_call_driver(vq);
}

static void pykit_vhost_disable_notify(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	vhost_disable_notify(&v->dev, &q->vq);
	pykit_trace_vq(vhost_notify, &q->vqid, q->vq.last_avail_idx, 0, 0);
}

/* Returns whether there is more to do already. */
static bool pykit_vhost_enable_notify(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	bool pending = vhost_enable_notify(&v->dev, &q->vq);

	pykit_trace_vq(vhost_notify, &q->vqid, q->vq.last_avail_idx, 1, pending);
	return pending;
}

/*
 * Take a chain, serve it and answer it.
 *
 * Returns the bytes of its buffers, 0 if there is none, or an error.
 */
static ssize_t pykit_vhost_serve_one(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct vhost_log *log = vhost_has_feature(vq, VHOST_F_LOG_ALL) ? vq->log :
									 NULL;
	struct pykit_answer answer = {};
	unsigned int out, in, log_num;
	u16 avail_idx = vq->last_avail_idx;
	struct pykit_request rq;
	int head, err;

	head = vhost_get_vq_desc(vq, vq->iov, ARRAY_SIZE(vq->iov), &out, &in, log,
				 &log_num);
	if (head < 0 || head == vq->num)
		return head < 0 ? head : 0;
	err = pykit_vhost_request_parse(vq, out, in, &rq);
	if (err) {
		vq_err(vq, "cannot serve the chain at %d\n", head);
		/* Put it back: the queue stands there until the next kick. */
		compat_vhost_discard(vq, 1, 1);
		return err;
	}
	pykit_trace_vq(vhost_get, &q->vqid, &(struct pykit_got){
		.readable = rq.readable, .writable = rq.writable,
		.out = out, .in = in, .head = head, .avail_idx = avail_idx,
	});
	answer.id = head;
	pykit_vhost_request_serve(v, q, &rq, &answer);
	/* All that may have been written: the status is not always at the front. */
	if (log)
		vhost_log_write(vq, log, log_num, rq.writable, vq->iov + out, in);
	err = pykit_fault_result(pykit_vhost_fault_answer(v, q, &answer),
				 pykit_vhost_answer(q, &answer));
	return err ? err : rq.readable + rq.writable;
}

static void pykit_vhost_serve_queue(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	int served = 0, signalled = 0;
	size_t bytes = 0;
	ssize_t done;

	if (pykit_fault_result(pykit_vhost_fault_kicked(q), false))
		pykit_vhost_call_driver(vq);
	pykit_vhost_disable_notify(v, q);
	do {
		done = pykit_vhost_serve_one(v, q);
		if (done > 0) {
			bytes += done;
			served++;
			continue;
		}
		if (pykit_fault_result(pykit_vhost_fault_settle(q), 0))
			break;
		if (served > signalled)
			pykit_vhost_signal_driver(v, q);
		signalled = served;
		if (done < 0 || !pykit_vhost_enable_notify(v, q))
			return;
		pykit_vhost_disable_notify(v, q);
	} while (!READ_ONCE(v->stopping) &&
		 !vhost_exceeds_weight(vq, served, min_t(size_t, bytes, INT_MAX)));
	pykit_fault_call(pykit_vhost_fault_settle(q));
	if (served > signalled)
		pykit_vhost_signal_driver(v, q);
}

/**
 * pykit_vhost_handle_kick() - the driver has made requests available
 * @work: the queue's work
 */
void pykit_vhost_handle_kick(struct vhost_work *work)
{
	struct vhost_virtqueue *vq = container_of(work, struct vhost_virtqueue,
						  poll.work);
	struct pykit_vhost_vq *q = container_of(vq, struct pykit_vhost_vq, vq);
	struct pykit_vhost *v;

	mutex_lock(&vq->mutex);
	v = vhost_vq_get_backend(vq);
	/* Without the rings' translation vhost has asked for it, and calls again. */
	if (v && vq_meta_prefetch(vq))
		pykit_vhost_serve_queue(v, q);
	mutex_unlock(&vq->mutex);
}
