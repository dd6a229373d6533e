// SPDX-License-Identifier: GPL-2.0-only
/*
 * Block requests that the device used with a length that leaves out some of the bytes which it
 * may write: what their drivers make of the rest is seen where the block layer gets it.
 *
 * A driver of blk-mq names its requests to the virtqueue by what the block layer has for it in
 * each of them, so that a request that ends is found among those that were noted. There are few:
 * no device should do this to a request that succeeds.
 */
#include <linux/blk-mq.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <trace/events/pykit.h>

#include <pykit_passed.h>

/* Requests between the virtqueue and the block layer that are followed at a time. */
#define NOTES	32

/**
 * struct pykit_passed_short - a request that its driver has not ended yet
 * @token: what names it to its virtqueue, NULL if there is none
 * @vqid: the virtqueue
 * @passed: what is known of it
 */
struct pykit_passed_short {
	const void *token;
	struct pykit_vq_id *vqid;
	struct pykit_blk_passed passed;
};

static struct pykit_passed_short notes[NOTES];
static unsigned int num_notes;
static DEFINE_SPINLOCK(notes_lock);
static struct tracepoint *completion;

static struct pykit_passed_short *pykit_passed_find(const void *token)
{
	unsigned int i;

	for (i = 0; i < NOTES; i++)
		if (notes[i].token == token)
			return &notes[i];
	return NULL;
}

static void pykit_passed_drop(struct pykit_passed_short *note)
{
	note->token = NULL;
	WRITE_ONCE(num_notes, num_notes - 1);
}

/**
 * pykit_passed_note() - follow a request to its end
 * @vqid: its virtqueue, of which events follow until it is forgotten
 * @token: what names it to the virtqueue
 * @passed: what is known of it
 *
 * Called before its driver has it. Requests for which there is no room are not followed.
 */
void pykit_passed_note(struct pykit_vq_id *vqid, const void *token,
		       const struct pykit_blk_passed *passed)
{
	struct pykit_passed_short *note;
	unsigned long flags;

	if (!completion || !trace_pykit_blk_passed_enabled())
		return;
	spin_lock_irqsave(&notes_lock, flags);
	note = pykit_passed_find(token);
	if (note)
		pykit_passed_drop(note);
	else
		note = pykit_passed_find(NULL);
	if (note) {
		note->token = token;
		note->vqid = vqid;
		note->passed = *passed;
		WRITE_ONCE(num_notes, num_notes + 1);
	}
	spin_unlock_irqrestore(&notes_lock, flags);
}
EXPORT_SYMBOL_GPL(pykit_passed_note);

/**
 * pykit_passed_forget() - follow requests no more
 * @vqid: their virtqueue, NULL for any
 * @token: what names the one that is made available again, NULL for all
 */
void pykit_passed_forget(const struct pykit_vq_id *vqid, const void *token)
{
	unsigned long flags;
	unsigned int i;

	if (!READ_ONCE(num_notes))
		return;
	spin_lock_irqsave(&notes_lock, flags);
	for (i = 0; i < NOTES; i++)
		if (notes[i].token && (!vqid || notes[i].vqid == vqid) &&
		    (!token || notes[i].token == token))
			pykit_passed_drop(&notes[i]);
	spin_unlock_irqrestore(&notes_lock, flags);
}
EXPORT_SYMBOL_GPL(pykit_passed_forget);

/* Older kernels have an int for the error: its low byte is 0 for none alone. */
static void pykit_passed_completed(void *data, struct request *req, blk_status_t error,
				   unsigned int bytes)
{
	struct pykit_passed_short *note;
	unsigned long flags;

	if (!READ_ONCE(num_notes))
		return;
	spin_lock_irqsave(&notes_lock, flags);
	note = pykit_passed_find(blk_mq_rq_to_pdu(req));
	if (note) {
		note->passed.passed = bytes;
		note->passed.error = error != BLK_STS_OK;
		pykit_trace_vq(blk_passed, note->vqid, &note->passed);
		pykit_passed_drop(note);
	}
	spin_unlock_irqrestore(&notes_lock, flags);
}

static void pykit_passed_look_for(struct tracepoint *found, void *unused)
{
	if (!strcmp(found->name, "block_rq_complete"))
		completion = found;
}

/**
 * pykit_passed_init() - begin to see what drivers pass on
 *
 * Where a kernel has no such tracepoint there are no events.
 */
void pykit_passed_init(void)
{
	for_each_kernel_tracepoint(pykit_passed_look_for, NULL);
	if (completion && tracepoint_probe_register(completion, pykit_passed_completed, NULL))
		completion = NULL;
}

/**
 * pykit_passed_exit() - see it no more
 */
void pykit_passed_exit(void)
{
	if (!completion)
		return;
	tracepoint_probe_unregister(completion, pykit_passed_completed, NULL);
	tracepoint_synchronize_unregister();
}
