// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtqueues of a back-end: vhost's operations, each traced before or after.
 *
 * A back-end serialises its operations on a queue: what is kept of one needs no
 * lock. A chain that was taken may be put back. So it is traced when that cannot
 * be any more: when it, or one that was taken later, is returned, or when the
 * back-end asks to be notified.
 *
 * Where vhost calls one of its operations from another, that is done here as vhost
 * defines it, by the functions here: compilers may have inlined them there.
 */
#include <linux/ftrace.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../common/hook.h"
#include "../compat/eventfd.h"
#include "pykit_vhost_probe.h"

/**
 * struct pykit_vprobe_queue - a queue, from when it was first served until the module goes
 * @node: in the table of all
 * @vq: vhost's
 * @vqid: how trace events name it
 * @watched: whether its back-end is watched
 * @taken: chains that were taken and not traced yet, by position
 * @size: length of @taken
 * @first: position in the available ring of the first of them
 * @next: position behind the last
 * @signals: who decides whether to signal the driver
 * @signal: that decision
 */
struct pykit_vprobe_queue {
	struct hlist_node node;
	struct vhost_virtqueue *vq;
	struct pykit_vq_id vqid;
	bool watched;
	struct pykit_got *taken;
	u16 size;
	u16 first;
	u16 next;
	struct task_struct *signals;
	struct pykit_signal signal;
};

/* Changed under the lock, read under RCU; nothing is taken out until the end. */
static DEFINE_HASHTABLE(queues, 6);
static DEFINE_MUTEX(queues_lock);

static struct pykit_vprobe_queue *pykit_vprobe_find(struct vhost_virtqueue *vq)
{
	struct pykit_vprobe_queue *w;

	rcu_read_lock();
	hash_for_each_possible_rcu(queues, w, node, (unsigned long)vq)
		if (w->vq == vq)
			break;
	rcu_read_unlock();
	return w;
}

static struct pykit_vprobe_queue *pykit_vprobe_enter(struct vhost_virtqueue *vq)
{
	struct pykit_vprobe_queue *w;

	pykit_hook_enter();
	w = pykit_vprobe_find(vq);
	return w && w->watched ? w : NULL;
}

static struct pykit_vprobe_queue *pykit_vprobe_watch_queue(struct vhost_virtqueue *vq)
{
	struct pykit_vprobe_queue *w = pykit_vprobe_find(vq);

	if (w)
		return w;
	w = kzalloc(sizeof(*w), GFP_KERNEL);
	if (!w)
		return NULL;
	w->vq = vq;
	mutex_lock(&queues_lock);
	hash_add_rcu(queues, &w->node, (unsigned long)vq);
	mutex_unlock(&queues_lock);
	return w;
}

static u16 pykit_vprobe_index_of(struct vhost_virtqueue *vq)
{
	int i;

	for (i = 0; i < vq->dev->nvqs; i++)
		if (vq->dev->vqs[i] == vq)
			break;
	return i;
}

/* It is about to be served: by a back-end that is watched, or not. */
static void pykit_vprobe_start(struct vhost_virtqueue *vq)
{
	struct pykit_vprobe_queue *w = pykit_vprobe_watch_queue(vq);
	u32 number;

	if (!w)
		return;
	w->watched = false;
	/* With an IOTLB the rings may lie in pieces. */
	if (vq->iotlb || !pykit_vprobe_served(vq->dev->mm, &number))
		return;
	kvfree(w->taken);
	w->taken = kvcalloc(vq->num, sizeof(*w->taken), GFP_KERNEL);
	if (!w->taken)
		return;
	w->size = vq->num;
	w->first = vq->last_avail_idx;
	w->next = w->first;
	w->vqid.dev = number;
	w->vqid.vq = pykit_vprobe_index_of(vq);
	atomic_set(&w->vqid.seq, 0);
	w->signal.valid = false;
	w->watched = true;
	pykit_trace_vq(vhost_queue, &w->vqid, vq->acked_features, vq->num,
		       vq->last_avail_idx, vq->last_used_idx);
}

static int pykit_vprobe_init_access(struct vhost_virtqueue *vq)
{
	int err;

	pykit_hook_enter();
	err = vhost_vq_init_access(vq);
	if (!err && vhost_vq_get_backend(vq))
		pykit_vprobe_start(vq);
	pykit_hook_leave();
	return err;
}

static struct pykit_got *pykit_vprobe_taken_at(struct pykit_vprobe_queue *w, u16 position)
{
	return &w->taken[position & (w->size - 1)];
}

static void pykit_vprobe_trace_first(struct pykit_vprobe_queue *w)
{
	pykit_trace_vq(vhost_get, &w->vqid, pykit_vprobe_taken_at(w, w->first));
	w->first++;
}

static void pykit_vprobe_trace_taken(struct pykit_vprobe_queue *w)
{
	while (w->first != w->next)
		pykit_vprobe_trace_first(w);
}

/* Trace a chain that is returned, and those that were taken before it. */
static void pykit_vprobe_trace_until(struct pykit_vprobe_queue *w, u16 head)
{
	u16 position;

	for (position = w->first; position != w->next; position++)
		if (pykit_vprobe_taken_at(w, position)->head == head)
			break;
	if (position == w->next)
		return;
	while (w->first != (u16)(position + 1))
		pykit_vprobe_trace_first(w);
}

static void pykit_vprobe_after_get(struct pykit_vprobe_queue *w, u16 position, int head,
				   const struct iovec *iov, unsigned int out, unsigned int in)
{
	struct pykit_got *got;

	if (head < 0 || head == w->vq->num)
		return;
	/* More cannot be put back than the ring has places. */
	if ((u16)(w->next - w->first) == w->size)
		pykit_vprobe_trace_first(w);
	got = pykit_vprobe_taken_at(w, position);
	got->readable = iov_length(iov, out);
	got->writable = iov_length(iov + out, in);
	got->out = out;
	got->in = in;
	got->head = head;
	got->avail_idx = position;
	w->next = position + 1;
}

static int pykit_vprobe_get_n(struct vhost_virtqueue *vq, struct iovec iov[],
			      unsigned int iov_size, unsigned int *out, unsigned int *in,
			      struct vhost_log *log, unsigned int *log_num,
			      unsigned int *descs)
{
	struct pykit_vprobe_queue *w = pykit_vprobe_enter(vq);
	u16 position = vq->last_avail_idx;
	int head = compat_vhost_get(vq, iov, iov_size, out, in, log, log_num, descs);

	if (w)
		pykit_vprobe_after_get(w, position, head, iov, *out, *in);
	pykit_hook_leave();
	return head;
}

static int pykit_vprobe_get(struct vhost_virtqueue *vq, struct iovec iov[],
			    unsigned int iov_size, unsigned int *out, unsigned int *in,
			    struct vhost_log *log, unsigned int *log_num)
{
	return pykit_vprobe_get_n(vq, iov, iov_size, out, in, log, log_num, NULL);
}

static void pykit_vprobe_after_discard(struct pykit_vprobe_queue *w)
{
	w->next = w->vq->last_avail_idx;
	/* A traced chain cannot be taken back: it is traced once more. */
	if ((u16)(w->next - w->first) > w->size)
		w->first = w->next;
}

static void pykit_vprobe_discard(struct vhost_virtqueue *vq, int chains, unsigned int descs)
{
	struct pykit_vprobe_queue *w = pykit_vprobe_enter(vq);

	compat_vhost_discard(vq, chains, descs);
	if (w)
		pykit_vprobe_after_discard(w);
	pykit_hook_leave();
}

COMPAT_DISCARD_OP(pykit_vprobe_discard)

static struct pykit_vprobe_queue *pykit_vprobe_before_used(struct vhost_virtqueue *vq,
							   const struct vring_used_elem *heads,
							   unsigned int count)
{
	struct pykit_vprobe_queue *w = pykit_vprobe_enter(vq);
	unsigned int i;

	if (w)
		for (i = 0; i < count; i++)
			pykit_vprobe_trace_until(w, vhost32_to_cpu(vq, heads[i].id));
	return w;
}

/* Trace used entries as memory has them, which may differ from the arguments. */
static void pykit_vprobe_after_used(struct pykit_vprobe_queue *w, unsigned int count)
{
	struct vhost_virtqueue *vq = w->vq;
	struct vring_used_elem entry;
	__virtio16 used, avail;
	u16 slot;

	if (!trace_pykit_vhost_used_enabled() || get_user(used, &vq->used->idx) ||
	    get_user(avail, &vq->avail->idx))
		return;
	for (; count; count--) {
		slot = (vq->last_used_idx - count) & (vq->num - 1);
		if (copy_from_user(&entry, &vq->used->ring[slot], sizeof(entry)))
			return;
		pykit_trace_vq(vhost_used, &w->vqid, vhost32_to_cpu(vq, entry.id),
			       vhost32_to_cpu(vq, entry.len),
			       vhost16_to_cpu(vq, used),
			       vhost16_to_cpu(vq, avail));
	}
}

static int pykit_vprobe_use(struct vhost_virtqueue *vq, struct vring_used_elem *heads,
			    u16 *chains, unsigned int count)
{
	struct pykit_vprobe_queue *w = pykit_vprobe_before_used(vq, heads, count);
	int err = compat_vhost_add_used_n(vq, heads, chains, count);

	if (w && err >= 0)
		pykit_vprobe_after_used(w, count);
	pykit_hook_leave();
	return err;
}

static int pykit_vprobe_add_used(struct vhost_virtqueue *vq, unsigned int head, int len)
{
	struct vring_used_elem heads = {
		.id = cpu_to_vhost32(vq, head),
		.len = cpu_to_vhost32(vq, len),
	};
	u16 chains = 1;

	return pykit_vprobe_use(vq, &heads, &chains, 1);
}

/* What a decision is made of; false where memory cannot be read. */
static bool pykit_vprobe_read_event(struct vhost_virtqueue *vq, u16 *event)
{
	__virtio16 value;

	if (get_user(value, vhost_has_feature(vq, VIRTIO_RING_F_EVENT_IDX) ?
			    (__virtio16 __user *)&vq->avail->ring[vq->num] :
			    &vq->avail->flags))
		return false;
	*event = vhost16_to_cpu(vq, value);
	return true;
}

static bool pykit_vprobe_is_requested(const struct pykit_signal *s)
{
	if (s->event_idx)
		return !s->valid || vring_need_event(s->event, s->new, s->old);
	return !(s->event & VRING_AVAIL_F_NO_INTERRUPT);
}

/* The driver may change its mind just then: either wish explains the decision. */
static void pykit_vprobe_trace_signal(struct pykit_vprobe_queue *w, bool sent)
{
	struct pykit_signal *s = &w->signal;
	u16 first = s->event;

	s->sent = sent;
	if (pykit_vprobe_is_requested(s) != sent) {
		pagefault_disable();
		if (pykit_vprobe_read_event(w->vq, &s->event) &&
		    pykit_vprobe_is_requested(s) != sent)
			s->event = first;
		pagefault_enable();
	}
	w->signals = NULL;
	pykit_trace_vq(vhost_signal, &w->vqid, s);
}

/*
 * An eventfd is about to be signalled: a decision to signal a driver, if this task
 * is making one. Trace the decision before the driver can observe the signal.
 */
static void notrace pykit_vprobe_before_eventfd(unsigned long ip, unsigned long parent_ip,
						struct ftrace_ops *ops,
						struct ftrace_regs *fregs)
{
	struct pykit_vprobe_queue *w;
	int bucket;

	if (!in_task())
		return;
	rcu_read_lock();
	hash_for_each_rcu(queues, bucket, w, node)
		if (READ_ONCE(w->signals) == current)
			pykit_vprobe_trace_signal(w, true);
	rcu_read_unlock();
}

/*
 * Looked at and not led elsewhere: vhost_signal() may leave by way of it, and then
 * it seems to be called from here.
 */
static struct ftrace_ops eventfd_ops = { .func = pykit_vprobe_before_eventfd };

static void pykit_vprobe_signal(struct vhost_dev *dev, struct vhost_virtqueue *vq)
{
	struct pykit_vprobe_queue *w = pykit_vprobe_enter(vq);
	bool traced = w && vq->call_ctx.ctx;

	if (traced) {
		struct pykit_signal *s = &w->signal;

		s->event_idx = vhost_has_feature(vq, VIRTIO_RING_F_EVENT_IDX);
		/* Without it vhost does not keep what it signalled last. */
		s->old = s->event_idx ? vq->signalled_used : s->new;
		s->valid = s->event_idx ? vq->signalled_used_valid : s->valid;
		s->new = vq->last_used_idx;
		/* The driver writes what it wants before it looks at the used index. */
		smp_mb();
		traced = pykit_vprobe_read_event(vq, &s->event);
	}
	if (traced)
		WRITE_ONCE(w->signals, current);
	vhost_signal(dev, vq);
	if (traced && w->signals)
		pykit_vprobe_trace_signal(w, false);
	if (traced)
		w->signal.valid = true;
	pykit_hook_leave();
}

static void pykit_vprobe_add_used_and_signal(struct vhost_dev *dev, struct vhost_virtqueue *vq,
					     unsigned int head, int len)
{
	pykit_vprobe_add_used(vq, head, len);
	pykit_vprobe_signal(dev, vq);
}

static void pykit_vprobe_use_and_signal(struct vhost_dev *dev, struct vhost_virtqueue *vq,
					struct vring_used_elem *heads, u16 *chains,
					unsigned int count)
{
	pykit_vprobe_use(vq, heads, chains, count);
	pykit_vprobe_signal(dev, vq);
}

COMPAT_ADD_USED_N_OP(pykit_vprobe_use)
COMPAT_ADD_USED_AND_SIGNAL_N_OP(pykit_vprobe_use_and_signal)

static void pykit_vprobe_disable_notify(struct vhost_dev *dev, struct vhost_virtqueue *vq)
{
	struct pykit_vprobe_queue *w = pykit_vprobe_enter(vq);

	vhost_disable_notify(dev, vq);
	if (w)
		pykit_trace_vq(vhost_notify, &w->vqid, vq->last_avail_idx, 0, 0);
	pykit_hook_leave();
}

static bool pykit_vprobe_enable_notify(struct vhost_dev *dev, struct vhost_virtqueue *vq)
{
	struct pykit_vprobe_queue *w = pykit_vprobe_enter(vq);
	bool pending;

	if (w)
		pykit_vprobe_trace_taken(w);
	pending = vhost_enable_notify(dev, vq);
	if (w)
		pykit_trace_vq(vhost_notify, &w->vqid, vq->last_avail_idx, 1, pending);
	pykit_hook_leave();
	return pending;
}

static int pykit_vprobe_note_hooks(void)
{
	static const struct pykit_hook hooks[] = {
		PYKIT_HOOK(vhost_vq_init_access, pykit_vprobe_init_access),
		PYKIT_HOOK(COMPAT_VHOST_GET_DESC_N, pykit_vprobe_get_n),
		PYKIT_HOOK(vhost_get_vq_desc, pykit_vprobe_get),
		PYKIT_HOOK(vhost_discard_vq_desc, pykit_vprobe_discard_op),
		PYKIT_HOOK(vhost_add_used_n, pykit_vprobe_use_op),
		PYKIT_HOOK(vhost_add_used, pykit_vprobe_add_used),
		PYKIT_HOOK(vhost_signal, pykit_vprobe_signal),
		PYKIT_HOOK(vhost_add_used_and_signal, pykit_vprobe_add_used_and_signal),
		PYKIT_HOOK(vhost_add_used_and_signal_n, pykit_vprobe_use_and_signal_op),
		PYKIT_HOOK(vhost_disable_notify, pykit_vprobe_disable_notify),
		PYKIT_HOOK(vhost_enable_notify, pykit_vprobe_enable_notify),
	};

	return pykit_hook_add(hooks, ARRAY_SIZE(hooks));
}

/**
 * pykit_vprobe_watch() - have vhost's functions lead here
 *
 * Return: 0, or that of ftrace.
 */
int pykit_vprobe_watch(void)
{
	int err;

	err = ftrace_set_filter_ip(&eventfd_ops, COMPAT_EVENTFD_SIGNALS, 0, 1) ?:
	      register_ftrace_function(&eventfd_ops);
	if (err)
		goto no_filter;
	err = pykit_vprobe_note_hooks() ?: pykit_hook_start();
	if (!err)
		return 0;
	unregister_ftrace_function(&eventfd_ops);
no_filter:
	ftrace_free_filter(&eventfd_ops);
	return err;
}

/**
 * pykit_vprobe_forget() - have nothing lead here any more, and forget all queues
 */
void pykit_vprobe_forget(void)
{
	struct hlist_node *next;
	struct pykit_vprobe_queue *w;
	int bucket;

	pykit_hook_stop();
	unregister_ftrace_function(&eventfd_ops);
	ftrace_free_filter(&eventfd_ops);
	hash_for_each_safe(queues, bucket, next, w, node) {
		hash_del(&w->node);
		kvfree(w->taken);
		kfree(w);
	}
}
