// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deliberate bugs of a device, one at a time, for rules and drivers to find. Only
 * in a build with FAULT=1, where the parameter "fault" names the bug.
 *
 * Each is done for real, to a few requests of each queue after each start; what
 * the trace events tell is read back from the driver's memory.
 */
#include <linux/module.h>
#include <linux/virtio_blk.h>

#include "pykit_vhost.h"

/* One in so many goes wrong, from the fourth, and so many at most. */
#define FAULT_EVERY	64
#define FAULT_FIRST	4
#define FAULT_MOST	4

/* How much too long a length is. */
#define FAULT_EXCESS	4096

enum pykit_vhost_fault {
	FAULT_NONE,
	WRONG_ID,
	LENGTH_TOO_LONG,
	LENGTH_TOO_SHORT,
	COMPLETED_TWICE,
	USED_IDX_JUMP,
	SIGNAL_MISSED,
	SIGNAL_SPURIOUS,
	COMPLETION_DROPPED,
	STATUS_WITHHELD,
	REORDERED,
	DELAYED,
};

static const char *const fault_names[] = {
	[FAULT_NONE]		= "",
	[WRONG_ID]		= "wrong-id",
	[LENGTH_TOO_LONG]	= "length-too-long",
	[LENGTH_TOO_SHORT]	= "length-too-short",
	[COMPLETED_TWICE]	= "completed-twice",
	[USED_IDX_JUMP]		= "used-idx-jump",
	[SIGNAL_MISSED]		= "signal-missed",
	[SIGNAL_SPURIOUS]	= "signal-spurious",
	[COMPLETION_DROPPED]	= "completion-dropped",
	[STATUS_WITHHELD]	= "status-withheld",
	[REORDERED]		= "reordered",
	[DELAYED]		= "delayed",
};

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "Deliberate bug to enable (names in fault.c)");

static unsigned int delay_ms = 20;
module_param(delay_ms, uint, 0444);
MODULE_PARM_DESC(delay_ms, "Delay of a delayed request in ms (default 20)");

static enum pykit_vhost_fault pykit_vhost_fault;

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
	q->fault.count = 0;
	q->fault.holds = false;
}

static bool pykit_vhost_due(struct pykit_vhost_vq *q)
{
	q->fault.count++;
	return q->fault.count % FAULT_EVERY == FAULT_FIRST &&
	       q->fault.count < FAULT_MOST * FAULT_EVERY;
}

/**
 * pykit_vhost_fault_status() - forget a status byte
 * @q: the queue, locked
 *
 * Return: whether not to write it.
 */
bool pykit_vhost_fault_status(struct pykit_vhost_vq *q)
{
	return pykit_vhost_fault == STATUS_WITHHELD && pykit_vhost_due(q);
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
		/* Of a read any wrong length would break a rule of its own. */
		return done && answer->type == VIRTIO_BLK_T_OUT && pykit_vhost_due(q);
	case LENGTH_TOO_SHORT:
		return done && answer->type == VIRTIO_BLK_T_IN && pykit_vhost_due(q);
	case WRONG_ID:
	case COMPLETED_TWICE:
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
	int err = 0;

	switch (strike ? pykit_vhost_fault : FAULT_NONE) {
	case WRONG_ID:
		answer->id += q->vq.num;
		break;
	case LENGTH_TOO_LONG:
		answer->len = answer->writable + FAULT_EXCESS;
		break;
	case LENGTH_TOO_SHORT:
		answer->len--;
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
	return err ? err : pykit_vhost_fault_settle(q);
}

/**
 * pykit_vhost_fault_signal() - go wrong in signalling the driver
 * @q: the queue, locked
 * @needed: whether the driver wants to be signalled
 *
 * Return: whether it is.
 */
bool pykit_vhost_fault_signal(struct pykit_vhost_vq *q, bool needed)
{
	if (pykit_vhost_fault == SIGNAL_MISSED && needed)
		return !pykit_vhost_due(q);
	if (pykit_vhost_fault == SIGNAL_SPURIOUS && !needed)
		return pykit_vhost_due(q);
	return needed;
}
