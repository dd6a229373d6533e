// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deliberate bugs of a device, one at a time, for rules and drivers to find. Only
 * in a build with FAULT=1, where the parameter "fault" names the bug.
 *
 * Each is done for real, to a few requests of each queue after each start; what
 * the trace events tell is read back from the driver's memory.
 */
#include <linux/module.h>

#include "fault.h"

/* One in so many goes wrong, from the fourth, and so many at most. */
#define FAULT_EVERY	64
#define FAULT_FIRST	4
#define FAULT_MOST	4

/* How much too long a length is. */
#define FAULT_EXCESS	4096

/* A flag of the used ring that is none. */
#define UNDEFINED_FLAG	BIT(1)

static const char *const fault_names[] = {
	[FAULT_NONE]		= "",
	[WRONG_ID]		= "wrong-id",
	[ID_STALE]		= "id-stale",
	[LENGTH_TOO_LONG]	= "length-too-long",
	[LENGTH_ONE_MORE]	= "length-one-more",
	[LENGTH_HUGE]		= "length-huge",
	[LENGTH_TOO_SHORT]	= "length-too-short",
	[LENGTH_ZERO]		= "length-zero",
	[COMPLETED_TWICE]	= "completed-twice",
	[TAKEN_TWICE]		= "taken-twice",
	[TAKEN_AHEAD]		= "taken-ahead",
	[USED_IDX_JUMP]		= "used-idx-jump",
	[USED_FLAGS_UNDEFINED]	= "used-flags-undefined",
	[SIGNAL_MISSED]		= "signal-missed",
	[SIGNAL_LAST_ONLY]	= "signal-last-only",
	[SIGNAL_ONE_LATE]	= "signal-one-late",
	[SIGNAL_SAMPLED_EARLY]	= "signal-sampled-early",
	[SIGNAL_SPURIOUS]	= "signal-spurious",
	[SIGNAL_ON_KICK]	= "signal-on-kick",
	[SIGNAL_IGNORES_EVENT]	= "signal-ignores-event",
	[SIGNAL_IGNORES_FLAGS]	= "signal-ignores-flags",
	[COMPLETION_DROPPED]	= "completion-dropped",
	[STATUS_WITHHELD]	= "status-withheld",
	[STATUS_LATE]		= "status-late",
	[STATUS_UNDEFINED]	= "status-undefined",
	[HEADER_WRITTEN]	= "header-written",
	[DATA_UNWRITTEN]	= "data-unwritten",
	[FAILED_LENGTH]		= "failed-length",
	[FLUSH_UNSUPPORTED]	= "flush-unsupported",
	[DISCARD_UNSUPPORTED]	= "discard-unsupported",
	[FEATURE_OF_OTHER_TYPE]	= "feature-of-other-type",
	[FEATURE_RESERVED]	= "feature-reserved",
	[FLUSH_NOT_OFFERED]	= "flush-not-offered",
	[CACHE_CONTROL_ALONE]	= "cache-control-alone",
	[PADDING_SET]		= "padding-set",
	[SEGMENTS_TOO_MANY]	= "segments-too-many",
	[REORDERED]		= "reordered",
	[DELAYED]		= "delayed",
};

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "Deliberate bug to enable (names in fault.c)");

static unsigned int delay_ms = 20;
module_param(delay_ms, uint, 0444);
MODULE_PARM_DESC(delay_ms, "Delay of a delayed request in ms (default 20)");

enum pykit_vhost_fault pykit_vhost_fault;

/**
 * pykit_vhost_fault_init() - find the fault that the parameter names
 *
 * Return: 0, -EINVAL if there is none of that name.
 */
int pykit_vhost_fault_init(void)
{
	int i = match_string(fault_names, ARRAY_SIZE(fault_names), fault);

	if (i >= 0) {
		pykit_vhost_fault = i;
		return 0;
	}
	pr_err("%s: no fault is called \"%s\", see fault.c\n", KBUILD_MODNAME,
	       fault);
	return -EINVAL;
}

/**
 * pykit_vhost_fault_start() - begin anew
 * @q: the queue, locked, about to be served
 */
void pykit_vhost_fault_start(struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	vring_used_t __user *used = pykit_vhost_ring(vq, vq->used, VHOST_ADDR_USED);

	q->fault.count = 0;
	q->fault.holds = false;
	q->fault.last = vq->num;
	q->fault.event = 0;
	q->fault.late = NULL;
	if (pykit_vhost_fault != USED_FLAGS_UNDEFINED || !used)
		return;
	/* The flag stays: vhost changes the others only. */
	vq->used_flags |= UNDEFINED_FLAG;
	if (put_user(cpu_to_vhost16(vq, vq->used_flags), &used->flags))
		vq_err(vq, "cannot write flags of the used ring\n");
}

/**
 * pykit_vhost_due() - whether it is time to go wrong
 * @q: the queue, locked
 *
 * Return: true for a few of what could go wrong after each start.
 */
bool pykit_vhost_due(struct pykit_vhost_vq *q)
{
	q->fault.count++;
	return q->fault.count % FAULT_EVERY == FAULT_FIRST &&
	       q->fault.count < FAULT_MOST * FAULT_EVERY;
}

/* The priority in the header, which the driver has no use for any more. */
static int pykit_vhost_write_header(struct pykit_vhost_vq *q)
{
	struct virtio_blk_outhdr __user *hdr = q->vq.iov[0].iov_base;
	__virtio32 ioprio;

	if (q->vq.iov[0].iov_len < sizeof(*hdr))
		return 0;
	if (get_user(ioprio, &hdr->ioprio) || put_user(~ioprio, &hdr->ioprio))
		return -EFAULT;
	return 0;
}

/*
 * The used index moves over a slot that nothing was put into. What stands there
 * is no head, or a driver would take an old one again.
 */
static int pykit_vhost_jump(struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct vring_used_elem none = { .id = cpu_to_vhost32(vq, vq->num) };
	vring_used_t __user *used = pykit_vhost_ring(vq, vq->used, VHOST_ADDR_USED);
	u16 slot = vq->last_used_idx & (vq->num - 1);

	if (!used || copy_to_user(&used->ring[slot], &none, sizeof(none)))
		return -EFAULT;
	vq->last_used_idx++;
	return 0;
}

/* Return what stands in the available ring behind its index, if that is not further. */
static int pykit_vhost_take_ahead(struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	vring_avail_t __user *avail = pykit_vhost_ring(vq, vq->avail, VHOST_ADDR_AVAIL);
	struct pykit_answer none = {};
	__virtio16 head, index;

	if (!avail || get_user(index, &avail->idx) ||
	    get_user(head, &avail->ring[vq->last_avail_idx & (vq->num - 1)]))
		return -EFAULT;
	if (vhost16_to_cpu(vq, index) != vq->last_avail_idx)
		return 0;
	none.id = vhost16_to_cpu(vq, head);
	return pykit_vhost_answer(q, &none);
}

/* Write a status that was left out. */
static int pykit_vhost_write_status(struct pykit_vhost_vq *q, u8 status)
{
	u8 __user *late = q->fault.late;

	q->fault.late = NULL;
	return late && put_user(status, late) ? -EFAULT : 0;
}

/**
 * pykit_vhost_fault_settle() - return a chain that is held back
 * @q: the queue, locked; there is no other chain to go first
 *
 * Return: 0 or an error.
 */
int pykit_vhost_fault_settle(struct pykit_vhost_vq *q)
{
	if (!q->fault.holds)
		return 0;
	q->fault.holds = false;
	return pykit_vhost_answer(q, &q->fault.held);
}

/* Whether the fault is one of this request's, and it is its turn. */
static bool pykit_vhost_strikes(struct pykit_vhost_vq *q, const struct pykit_answer *answer)
{
	bool done = answer->status == VIRTIO_BLK_S_OK;

	switch (pykit_vhost_fault) {
	case LENGTH_TOO_LONG:
	case LENGTH_ONE_MORE:
	case LENGTH_HUGE:
		/* Of a read any wrong length would break a rule of its own. */
		return done && answer->type == VIRTIO_BLK_T_OUT && pykit_vhost_due(q);
	case LENGTH_TOO_SHORT:
	case LENGTH_ZERO:
		return done && answer->type == VIRTIO_BLK_T_IN && pykit_vhost_due(q);
	case WRONG_ID:
	case ID_STALE:
	case HEADER_WRITTEN:
	case COMPLETED_TWICE:
	case TAKEN_TWICE:
	case TAKEN_AHEAD:
	case USED_IDX_JUMP:
	case COMPLETION_DROPPED:
	case REORDERED:
	case DELAYED:
		return pykit_vhost_due(q);
	default:
		return false;
	}
}

/**
 * pykit_vhost_fault_answer() - go wrong in returning a chain
 * @v: the device
 * @q: the queue, locked
 * @answer: what is to be said of it
 *
 * Return: 0 or an error.
 */
int pykit_vhost_fault_answer(struct pykit_vhost *v, struct pykit_vhost_vq *q,
			     struct pykit_answer *answer)
{
	bool strike = !q->fault.holds && pykit_vhost_strikes(q, answer);
	u32 last = q->fault.last;
	int err = 0;

	q->fault.last = answer->id;

	switch (strike ? pykit_vhost_fault : FAULT_NONE) {
	case WRONG_ID:
		answer->id += q->vq.num;
		break;
	case ID_STALE:
		answer->id = last;
		break;
	case LENGTH_TOO_LONG:
		answer->len = answer->writable + FAULT_EXCESS;
		break;
	case LENGTH_ONE_MORE:
		answer->len = answer->writable + 1;
		break;
	case LENGTH_HUGE:
		answer->len = U32_MAX;
		break;
	case LENGTH_TOO_SHORT:
		answer->len--;
		break;
	case LENGTH_ZERO:
		answer->len = 0;
		break;
	case HEADER_WRITTEN:
		err = pykit_vhost_write_header(q);
		break;
	case TAKEN_TWICE:
		/* Once more from the same entry of the available ring. */
		compat_vhost_discard(&q->vq, 1, 1);
		break;
	case TAKEN_AHEAD:
		err = pykit_vhost_take_ahead(q);
		break;
	case COMPLETED_TWICE:
		err = pykit_vhost_answer(q, answer);
		break;
	case USED_IDX_JUMP:
		err = pykit_vhost_jump(q);
		break;
	case COMPLETION_DROPPED:
		return 0;
	case REORDERED:
		q->fault.holds = true;
		q->fault.held = *answer;
		return 0;
	case DELAYED:
		wait_event_timeout(v->stop, READ_ONCE(v->stopping),
				   msecs_to_jiffies(delay_ms));
		break;
	default:
		break;
	}
	if (!err)
		err = pykit_vhost_answer(q, answer);
	if (!err)
		err = pykit_vhost_write_status(q, answer->status);
	return err ? err : pykit_vhost_fault_settle(q);
}

/**
 * pykit_vhost_fault_kicked() - whether to signal the driver before anything is done
 * @q: the queue, locked
 *
 * Return: whether the fault is to do so.
 */
bool pykit_vhost_fault_kicked(struct pykit_vhost_vq *q)
{
	return pykit_vhost_fault == SIGNAL_ON_KICK;
}

/* What a device finds that looked before the driver had its say: at the last decision. */
static bool pykit_vhost_wanted_before(struct pykit_vhost_vq *q, const struct pykit_signal *signal)
{
	u16 event = q->fault.event;

	q->fault.event = signal->event;
	if (signal->event_idx)
		return vring_need_event(event, signal->new, signal->old);
	return !(event & VRING_AVAIL_F_NO_INTERRUPT);
}

/**
 * pykit_vhost_fault_signal() - go wrong in signalling the driver
 * @q: the queue, locked
 * @signal: the decision
 * @needed: whether the driver wants to be signalled
 *
 * Return: whether it is.
 */
bool pykit_vhost_fault_signal(struct pykit_vhost_vq *q, const struct pykit_signal *signal,
			      bool needed)
{
	bool strikes = false;

	switch (pykit_vhost_fault) {
	case SIGNAL_MISSED:
		strikes = needed;
		break;
	case SIGNAL_LAST_ONLY:
		strikes = needed && signal->event_idx && signal->valid &&
			  signal->event != (u16)(signal->new - 1);
		break;
	case SIGNAL_ONE_LATE:
		strikes = needed && signal->event_idx && signal->valid &&
			  !vring_need_event(signal->event + 1, signal->new, signal->old);
		break;
	case SIGNAL_SAMPLED_EARLY:
		strikes = !pykit_vhost_wanted_before(q, signal) && needed && signal->valid;
		break;
	case SIGNAL_SPURIOUS:
		strikes = !needed;
		break;
	case SIGNAL_IGNORES_EVENT:
		strikes = !needed && signal->event_idx;
		break;
	case SIGNAL_IGNORES_FLAGS:
		strikes = !needed && !signal->event_idx;
		break;
	default:
		break;
	}
	return strikes && pykit_vhost_due(q) ? !needed : needed;
}
