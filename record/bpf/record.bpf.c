// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs, and what each is attached to. The loader leaves out those whose function
 * the running kernel does not have.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <stddef.h>

#include "../shared.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"
#include "state.h"
#include "ring.h"
#include "buffers.h"
#include "walk.h"
#include "look.h"
#include "queues.h"
#include "blk.h"
#include "used.h"
#include "add.h"
#include "device.h"

char LICENSE[] SEC("license") = "GPL";

#define ENTRY(name)	SEC("fentry/" #name) int name##_in(u64 *ctx)
#define EXIT(name)	SEC("fexit/" #name) int name##_out(u64 *ctx)

ENTRY(virtqueue_add_sgs)
{
	u64 lists = 0;

	/* A pointer to pointers, which no program may read from its context. */
	bpf_get_func_arg(ctx, 1, &lists);
	return before_add(ctx[0], lists, 0, ctx[2], ctx[3]);
}

EXIT(virtqueue_add_sgs)
{
	return after_add(ctx[0], ctx[6]);
}

/* The others add one list, which is all that they differ in. */
#define ADD_ONE(name, out, in, arguments)				\
ENTRY(name) { return before_add(ctx[0], 0, ctx[1], out, in); }		\
EXIT(name) { return after_add(ctx[0], ctx[arguments]); }

ADD_ONE(virtqueue_add_outbuf, 1, 0, 5)
ADD_ONE(virtqueue_add_inbuf, 0, 1, 5)
ADD_ONE(virtqueue_add_inbuf_ctx, 0, 1, 6)
ADD_ONE(virtqueue_add_outbuf_premapped, 1, 0, 5)
ADD_ONE(virtqueue_add_inbuf_premapped, 0, 1, 6)
ADD_ONE(virtqueue_add_inbuf_cache_clean, 0, 1, 5)

ENTRY(virtqueue_kick)
{
	struct queue *q = enter_queue(ctx[0]);

	if (!q || q->kicking == self())
		return 0;
	begins(&q->kicking);
	q->decided = 0;
	return before_kick(q);
}

EXIT(virtqueue_kick)
{
	struct queue *q = find_queue(ctx[0]);

	if (!q || !ends(&q->kicking) || q->decided)
		return 0;
	/* Decided without virtqueue_kick_prepare(), and the device was not notified. */
	if (q->rings && !is_broken(q->vq))
		return after_kick(q, 0);
	__sync_fetch_and_add(&q->seq, 1);
	lose(LOST_NOTIFY, 1);
	return 0;
}

ENTRY(virtqueue_kick_prepare)
{
	struct queue *q = enter_queue(ctx[0]);

	if (!q)
		return 0;
	begins(&q->deciding);
	return before_kick(q);
}

EXIT(virtqueue_kick_prepare)
{
	struct queue *q = find_queue(ctx[0]);

	if (!q || !ends(&q->deciding))
		return 0;
	if (q->kicking == self())
		q->decided = 1;
	return after_kick(q, (u8)ctx[1] & 1);
}

/* The transport is about to notify the device, whichever function of the core asked it to. */
static __noinline int notifies(u64 vq)
{
	struct queue *q = find_queue(vq);

	if (!q)
		return 0;
	if (q->adding == self()) {
		/* In an add that fails: recorded after it. */
		q->notified = 1;
		return 0;
	}
	if (q->kicking == self() && !q->decided) {
		q->decided = 1;
		after_kick(q, 1);
	}
	trace_notify(q);
	return 0;
}

#define NOTIFIES(name)	ENTRY(name) { return notifies(ctx[0]); }

NOTIFIES(vp_notify)
NOTIFIES(vp_notify_with_data)
NOTIFIES(vm_notify)
NOTIFIES(vm_notify_with_data)

ENTRY(virtqueue_get_buf_ctx) { return enter_get(ctx[0]); }
EXIT(virtqueue_get_buf_ctx) { return leave_get(ctx[0], ctx[3]); }
ENTRY(virtqueue_get_buf) { return enter_get(ctx[0]); }
EXIT(virtqueue_get_buf) { return leave_get(ctx[0], ctx[2]); }

static __always_inline struct queue *before_call(u64 vq, u32 call)
{
	struct queue *q = enter_queue(vq);

	/* enable_cb consists of these two: of them the whole is recorded. */
	if (!q || ((call == CALL_PREPARE || call == CALL_POLL) && q->enabling == self()))
		return NULL;
	begins(&q->calling[call]);
	return q;
}

static __always_inline struct queue *after_call(u64 vq, u32 call)
{
	struct queue *q = find_queue(vq);

	return q && ends(&q->calling[call]) ? q : NULL;
}

#define CALLED(name, call)	ENTRY(name) { before_call(ctx[0], call); return 0; }

CALLED(virtqueue_disable_cb, CALL_DISABLE)
EXIT(virtqueue_disable_cb)
{
	struct queue *q = after_call(ctx[0], CALL_DISABLE);

	return q ? callback(q, 0, 0) : 0;
}

ENTRY(virtqueue_enable_cb)
{
	struct queue *q = enter_queue(ctx[0]);

	if (q)
		begins(&q->enabling);
	return 0;
}

EXIT(virtqueue_enable_cb)
{
	struct queue *q = find_queue(ctx[0]);

	if (!q || !ends(&q->enabling))
		return 0;
	return callback(q, 1, !((u8)ctx[1] & 1));
}

CALLED(virtqueue_enable_cb_prepare, CALL_PREPARE)
EXIT(virtqueue_enable_cb_prepare)
{
	struct queue *q = after_call(ctx[0], CALL_PREPARE);
	struct taken t;

	if (!q)
		return 0;
	before_get(q, &t);
	return callback(q, 1, t.there);
}

CALLED(virtqueue_poll, CALL_POLL)
EXIT(virtqueue_poll)
{
	struct queue *q = after_call(ctx[0], CALL_POLL);

	/* An empty ring was already recorded when interrupts were enabled. */
	return q && ((u8)ctx[2] & 1) ? callback(q, 1, 1) : 0;
}

CALLED(virtqueue_enable_cb_delayed, CALL_DELAYED)
EXIT(virtqueue_enable_cb_delayed)
{
	struct queue *q = after_call(ctx[0], CALL_DELAYED);

	return q ? callback(q, 1, !((u8)ctx[1] & 1)) : 0;
}

ENTRY(virtqueue_detach_unused_buf)
{
	struct queue *q = before_call(ctx[0], CALL_DETACH);

	if (!q)
		return 0;
	q->detach_free = MEMBER(vring_virtqueue, q->vq, vq.num_free);
	return 0;
}

EXIT(virtqueue_detach_unused_buf)
{
	struct queue *q = after_call(ctx[0], CALL_DETACH);
	struct ev_detach *e;

	if (!q || !ctx[1])
		return 0;
	e = RESERVE_VQ(detach, q);
	if (!e)
		return 0;
	e->num_free = MEMBER(vring_virtqueue, q->vq, vq.num_free);
	e->slots = e->num_free - q->detach_free;
	SUBMIT(e);
	return 0;
}

ENTRY(vring_interrupt)
{
	struct queue *q = find_queue(ctx[1]);
	struct taken t;

	if (!q || q->handling == self())
		return 0;
	begins(&q->handling);
	/* The driver hears of it only if there is something to take. */
	q->hears = MEMBER(vring_virtqueue, q->vq, vq.callback) && !is_broken(q->vq);
	q->traced = 0;
	if (!q->hears)
		return 0;
	before_get(q, &t);
	q->traced = t.there;
	return t.there ? trace_interrupt(q, ctx[0]) : 0;
}

EXIT(vring_interrupt)
{
	struct queue *q = find_queue(ctx[1]);

	if (!q || !ends(&q->handling))
		return 0;
	if (!q->hears || q->traced)
		return 0;
	/* It came after the look, before the core's. */
	if ((u32)ctx[2] == IRQ_HANDLED)
		return trace_interrupt(q, ctx[0]);
	return stray_interrupt(q, ctx[0]);
}

/* Hooked by address: the transports' operations, and functions of the core. */
SEC("kprobe")
int op_in(struct pt_regs *ctx)
{
	u64 op = bpf_get_attach_cookie(ctx);
	u64 first = PT_REGS_PARM1(ctx);

	switch (op) {
	case OP_SET:
		return trace_config(first, PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx),
				    PT_REGS_PARM4(ctx), 1);
	case OP_SET_STATUS:
		trace_status(first, PT_REGS_PARM2(ctx), STATUS_WRITE);
		break;
	case OP_RESET:
		trace_status(first, 0, STATUS_RESET);
		return 0;
	}
	go_in(op, first, PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx));
	return 0;
}

SEC("kprobe")
int queues_in(struct pt_regs *ctx)
{
	u64 first = PT_REGS_PARM1(ctx);

	switch (bpf_get_attach_cookie(ctx)) {
	case OP_DEL_VQS:
		for_each_queue(first, FORGET_QUEUES, DELETED, 0);
		break;
	case OP_DISABLE_VQ:
	case OP_DEL_QUEUE:
		forget_queue(first);
		break;
	}
	return 0;
}

SEC("kprobe")
int broken_in(struct pt_regs *ctx)
{
	u64 op = bpf_get_attach_cookie(ctx);
	u64 first = PT_REGS_PARM1(ctx);

	if (!go_in(op, first, 0, 0, 0))
		return 0;
	switch (op) {
	case OP_BREAK:
		break_queue(first, BROKEN);
		break;
	case OP_UNBREAK:
		break_queue(first, UNBROKEN);
		break;
	case OP_BREAK_ALL:
		for_each_queue(first, TRACE_QUEUES, BROKEN, 0);
		break;
	case OP_UNBREAK_ALL:
		for_each_queue(first, TRACE_QUEUES, UNBROKEN, 0);
		break;
	}
	return 0;
}

SEC("kretprobe")
int queues_out(struct pt_regs *ctx)
{
	u64 op = bpf_get_attach_cookie(ctx), vdev;
	struct inside in;

	if (!come_out(op, &in) || (s32)PT_REGS_RC(ctx))
		return 0;
	if (op == OP_FIND_VQS)
		return for_each_queue(in.device, MAKE_QUEUES, SET_UP, in.second), 0;
	vdev = MEMBER(virtqueue, in.device, vdev);
	return new_queue(in.device, SET_UP, for_each_queue(vdev, COUNT_QUEUES, 0, 0));
}

SEC("kretprobe")
int op_out(struct pt_regs *ctx)
{
	u64 op = bpf_get_attach_cookie(ctx);
	u64 result = PT_REGS_RC(ctx);
	struct ev_generation *e;
	struct inside in;

	if (!come_out(op, &in))
		return 0;
	switch (op) {
	case OP_GET:
		return trace_config(in.device, in.second, in.buf, in.len, 0);
	case OP_GENERATION:
		e = RESERVE(generation);
		if (!e)
			return 0;
		e->dev = MEMBER(virtio_device, in.device, index);
		e->generation = result;
		SUBMIT(e);
		return 0;
	case OP_GET_STATUS:
		trace_status(in.device, result, STATUS_READ);
		return 0;
	}
	return 0;
}

SEC("kretprobe")
int features_out(struct pt_regs *ctx)
{
	u64 op = bpf_get_attach_cookie(ctx);
	struct device_state *d;
	struct inside in;
	u8 status;

	if (!come_out(op, &in))
		return 0;
	d = device_of(in.device);
	if (!d)
		return 0;
	switch (op) {
	case OP_GET_FEATURES:
		d->offered = PT_REGS_RC(ctx);
		d->offers = 1;
		return 0;
	case OP_GET_EXTENDED:
		/* The second argument is where they go: the first 64 of them. */
		READ(d->offered, in.second);
		d->offers = 1;
		return 0;
	case OP_FINALIZE:
		trace_features(in.device, d->begun ? OFFERED : FINALIZED);
		d->begun = 0;
		return 0;
	case OP_SET_STATUS:
		/* It is written once by itself, and once more with DRIVER_OK. */
		status = in.second;
		if (status & S_FEATURES_OK && !(status & S_DRIVER_OK))
			return trace_features(in.device, FROZEN);
	}
	return 0;
}

SEC("kprobe")
int driver_in(struct pt_regs *ctx)
{
	u64 op = bpf_get_attach_cookie(ctx);
	u64 first = PT_REGS_PARM1(ctx);
	struct device_state *d;

	if (op == OP_PROBE || op == OP_REMOVE)
		first = vdev_of(first);
	if (!go_in(op, first, 0, 0, 0))
		return 0;
	switch (op) {
	case OP_PROBE:
		d = device_of(first);
		if (d)
			d->begun = 1;
		trace_stage(first, STAGE_BEGIN, 0);
		break;
	case OP_REMOVE:
		trace_stage(first, STAGE_REMOVE, 0);
		break;
	case OP_FREEZE:
		if (MEMBER(virtio_device, first, dev.driver))
			trace_stage(first, STAGE_FREEZE, 0);
		break;
	case OP_CONFIG_CHANGED:
		trace_config_change(first);
		break;
	}
	return 0;
}

SEC("kretprobe")
int driver_out(struct pt_regs *ctx)
{
	u64 op = bpf_get_attach_cookie(ctx);
	s32 err = PT_REGS_RC(ctx);
	struct inside in;

	if (!come_out(op, &in))
		return 0;
	if (op == OP_PROBE)
		trace_stage(in.device, err ? STAGE_FAILED : STAGE_PROBED, err);
	else if (op == OP_REMOVE)
		trace_stage(in.device, STAGE_REMOVED, 0);
	else if (op == OP_RESTORE && MEMBER(virtio_device, in.device, dev.driver))
		trace_stage(in.device, STAGE_RESTORE, err);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct look);
} looks SEC(".maps");

#define LOOK(op, member) \
	if (bpf_core_field_exists(struct virtio_config_ops, member)) \
		look->functions[op] = MEMBER(virtio_config_ops, look->table, member)

/* Run by the loader: where a transport's operations are, by their table's address. */
SEC("raw_tp")
int look_up(void *ctx)
{
	u32 zero = 0;
	struct look *look = bpf_map_lookup_elem(&looks, &zero);

	if (!look)
		return 0;
	LOOK(OP_GET, get);
	LOOK(OP_SET, set);
	LOOK(OP_GENERATION, generation);
	LOOK(OP_GET_STATUS, get_status);
	LOOK(OP_SET_STATUS, set_status);
	LOOK(OP_RESET, reset);
	LOOK(OP_FIND_VQS, find_vqs);
	LOOK(OP_DEL_VQS, del_vqs);
	LOOK(OP_GET_FEATURES, get_features);
	LOOK(OP_GET_EXTENDED, get_extended_features);
	LOOK(OP_FINALIZE, finalize_features);
	LOOK(OP_DISABLE_VQ, disable_vq_and_reset);
	LOOK(OP_ENABLE_VQ, enable_vq_after_reset);
	return 0;
}

static long each_inside(void *map, void *key, void *value, void *data)
{
	lose(LOST_RETURNS, 1);
	return 0;
}

static long each_left(void *map, u64 *vq, struct queue *q, void *data)
{
	trace_queue(q, LEFT);
	return 0;
}

/* Run by the loader when nothing else does any more: the last number of each queue. */
SEC("raw_tp")
int leave(void *ctx)
{
	bpf_for_each_map_elem(&queues, each_left, NULL, 0);
	bpf_for_each_map_elem(&insides, each_inside, NULL, 0);
	return 0;
}
