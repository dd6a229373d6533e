// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deliberate bugs, one at a time, for rules to find. Only in a build with
 * FAULT=1, where the parameter "fault" names the bug.
 *
 * Damage to a ring is done to a request of the driver's own (GET_ID), that is made
 * available before DRIVER_OK. The device must not look at the ring yet: the damage
 * is traced, undone, and only then is the device allowed to go on. Everything else
 * in such a run is as it should be.
 */
#include <linux/delay.h>
#include <linux/module.h>

#include "ring.h"

/* One in so many needed kicks, or used entries, goes wrong; from the fourth. */
#define FAULT_EVERY	64
#define FAULT_FIRST	4

/* A doorbell that was withheld is rung after so long. */
#define LATE_KICK_MS	10

#define REQUEST_TIMEOUT	(5 * HZ)

/* How long a device that needs a reset is waited for. */
#define WAIT_SECONDS	12

static bool pykit_blk_every_so_often(unsigned int *count)
{
	return ++*count % FAULT_EVERY == FAULT_FIRST;
}

static bool pykit_blk_withhold(struct pykit_blk_vq *q, bool needed)
{
	if (!needed || !pykit_blk_every_so_often(&q->fault.kicks))
		return needed;
	schedule_delayed_work(&q->fault.late_kick, msecs_to_jiffies(LATE_KICK_MS));
	return false;
}

/* A head that no device can take: it needs a reset then. Once is enough. */
static bool pykit_blk_break_device(struct pykit_blk_vq *q, bool needed)
{
	static atomic_t kicks;

	if (needed && atomic_inc_return(&kicks) == FAULT_FIRST)
		pykit_blk_fault_head_lost(q);
	return needed;
}

static bool pykit_blk_take_again(struct pykit_blk_vq *q)
{
	return pykit_blk_every_so_often(&q->fault.used);
}

static const struct pykit_blk_fault faults[] = {
	/* Negotiation. */
	{ .name = "feature-not-offered", .negotiate = pykit_blk_fault_not_offered },
	{ .name = "feature-undefined", .negotiate = pykit_blk_fault_undefined },
	{ .name = "feature-reserved", .negotiate = pykit_blk_fault_reserved },
	{ .name = "feature-of-other-type", .negotiate = pykit_blk_fault_of_other_type },
	{ .name = "packed-not-accepted", .negotiate = pykit_blk_fault_not_packed },
	{ .name = "features-late", .negotiate = pykit_blk_fault_features_late },
	{ .name = "two-steps-in-one", .negotiate = pykit_blk_fault_two_steps },
	{ .name = "acknowledge-missing", .negotiate = pykit_blk_fault_no_acknowledge },
	{ .name = "failed-ignored", .negotiate = pykit_blk_fault_failed },
	{
		.name = "features-ok-skipped",
		.status_write = pykit_blk_fault_no_features_ok,
		.status_read = pykit_blk_fault_claim_features_ok,
	},
	{ .name = "status-overwritten", .status_write = pykit_blk_fault_drop_acknowledge },
	{ .name = "field-not-offered", .negotiate = pykit_blk_fault_field_not_offered },
	{ .name = "writeback-early", .negotiate = pykit_blk_fault_writeback_early },
	{ .name = "config-written-early", .negotiate = pykit_blk_fault_config_written },
	{ .name = "generation-not-read", .negotiate = pykit_blk_fault_no_generation },
	{ .name = "features-after-ready", .ready = pykit_blk_fault_features_ready },
	{ .name = "field-written", .ready = pykit_blk_fault_field_written },
	{ .name = "capacity-written", .ready = pykit_blk_fault_capacity_written },
	{ .name = "writeback-undefined", .ready = pykit_blk_fault_writeback_undefined },
	{ .name = "kick-after-reset", .reset = pykit_blk_ring_notify },
	{
		.name = "detach-before-reset", .negotiate = pykit_blk_fault_no_ring_reset,
		.stop = pykit_blk_fault_detach,
	},
	/* Rings when they are set up. */
	{
		.name = "used-flags-set", .layout = PYKIT_BLK_FAULT_SPLIT,
		.set_up = pykit_blk_fault_used_flags,
	},
	{
		.name = "indices-not-zero", .layout = PYKIT_BLK_FAULT_SPLIT,
		.set_up = pykit_blk_fault_indices,
	},
	{ .name = "kick-before-driver-ok", .before_ready = pykit_blk_ring_notify },
	/* Chains of split rings. */
	{
		.name = "descriptor-loop", .layout = PYKIT_BLK_FAULT_SPLIT, .direct = true,
		.damage = pykit_blk_fault_loop,
	},
	{
		.name = "next-outside", .layout = PYKIT_BLK_FAULT_SPLIT, .direct = true,
		.damage = pykit_blk_fault_next_outside,
	},
	{
		.name = "head-outside", .layout = PYKIT_BLK_FAULT_SPLIT,
		.damage = pykit_blk_fault_head_outside,
	},
	{
		.name = "head-reuse", .layout = PYKIT_BLK_FAULT_SPLIT, .twice = true,
		.damage = pykit_blk_fault_head_reuse,
	},
	{
		.name = "descriptor-shared", .layout = PYKIT_BLK_FAULT_SPLIT, .direct = true,
		.twice = true, .damage = pykit_blk_fault_shared,
	},
	{
		.name = "avail-idx-step", .layout = PYKIT_BLK_FAULT_SPLIT,
		.damage = pykit_blk_fault_idx_step,
	},
	{
		.name = "avail-idx-back", .layout = PYKIT_BLK_FAULT_SPLIT,
		.damage = pykit_blk_fault_idx_back,
	},
	{
		.name = "avail-idx-far", .layout = PYKIT_BLK_FAULT_SPLIT,
		.damage = pykit_blk_fault_idx_far,
	},
	{
		.name = "chain-too-long", .layout = PYKIT_BLK_FAULT_SPLIT,
		.damage = pykit_blk_fault_too_long,
	},
	{
		.name = "table-left", .layout = PYKIT_BLK_FAULT_SPLIT,
		.damage = pykit_blk_fault_table_left,
	},
	/* Chains of packed rings. */
	{
		.name = "wrap-counter-wrong", .layout = PYKIT_BLK_FAULT_PACKED,
		.damage = pykit_blk_fault_wrap,
	},
	{
		.name = "list-not-linked", .layout = PYKIT_BLK_FAULT_PACKED, .direct = true,
		.damage = pykit_blk_fault_not_linked,
	},
	/* Chains of both. */
	{ .name = "header-short", .damage = pykit_blk_fault_header_short },
	{ .name = "header-long", .damage = pykit_blk_fault_header_long },
	{ .name = "header-writable", .damage = pykit_blk_fault_header_writable },
	{ .name = "data-empty", .damage = pykit_blk_fault_data_empty },
	{ .name = "status-not-last", .damage = pykit_blk_fault_status_not_last },
	{ .name = "status-missing", .damage = pykit_blk_fault_status_missing },
	{ .name = "status-readable", .damage = pykit_blk_fault_status_readable },
	{ .name = "write-before-header", .damage = pykit_blk_fault_write_first },
	{ .name = "status-in-data", .damage = pykit_blk_fault_status_in_data },
	{ .name = "data-in-ring", .damage = pykit_blk_fault_data_in_ring },
	{ .name = "flag-undefined", .damage = pykit_blk_fault_flag_undefined },
	{ .name = "request-twice", .twice = true, .damage = pykit_blk_fault_nothing },
	{ .name = "indirect-not-negotiated", .direct = true, .damage = pykit_blk_fault_no_table },
	{ .name = "table-length-odd", .damage = pykit_blk_fault_table_odd },
	{ .name = "table-empty", .damage = pykit_blk_fault_table_empty },
	{ .name = "table-linked", .damage = pykit_blk_fault_table_linked },
	{ .name = "table-nested", .damage = pykit_blk_fault_table_nested },
	/* Requests, which the device has to answer. */
	{ .name = "get-id-long", .request = &pykit_blk_get_id_long },
	{ .name = "flush-sector", .request = &pykit_blk_flush_sector },
	{ .name = "flush-data", .request = &pykit_blk_flush_data },
	{ .name = "write-odd", .request = &pykit_blk_write_odd },
	{ .name = "write-beyond-capacity", .request = &pykit_blk_write_beyond },
	{ .name = "write-wraps", .request = &pykit_blk_write_wraps },
	{ .name = "type-undefined", .request = &pykit_blk_type_undefined },
	{ .name = "type-not-negotiated", .request = &pykit_blk_type_not_negotiated },
	{ .name = "discard-unmap", .request = &pykit_blk_discard_unmap },
	{ .name = "discard-odd", .request = &pykit_blk_discard_odd },
	{ .name = "discard-many", .request = &pykit_blk_discard_many },
	{ .name = "discard-beyond-capacity", .request = &pykit_blk_discard_beyond },
	{ .name = "discard-wraps", .request = &pykit_blk_discard_wraps },
	{ .name = "zeroes-many", .request = &pykit_blk_zeroes_many },
	{ .name = "zeroes-long", .request = &pykit_blk_zeroes_long },
	/* Notifications, and the entries that they are about. */
	{ .name = "kick-withheld", .kick = pykit_blk_withhold },
	{
		.name = "avail-flags-undefined", .layout = PYKIT_BLK_FAULT_SPLIT,
		.set_up = pykit_blk_fault_avail_flags,
		.callback = pykit_blk_fault_avail_flags,
	},
	{
		.name = "event-flags-reserved", .layout = PYKIT_BLK_FAULT_PACKED,
		.callback = pykit_blk_fault_event_flags,
	},
	{ .name = "used-twice", .used_again = pykit_blk_take_again },
	{ .name = "length-ignored", .trusts_status = true },
	{
		.name = "needs-reset-ignored", .layout = PYKIT_BLK_FAULT_SPLIT,
		.kick = pykit_blk_break_device, .waits_for_broken = true,
	},
};

static const struct pykit_blk_fault none = { };

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "Deliberate bug to enable (names in fault.c)");

static const struct pykit_blk_fault *chosen = &none;

/**
 * pykit_blk_fault_init() - find the fault that the parameter names
 *
 * Return: 0, -EINVAL if there is none of that name.
 */
int pykit_blk_fault_init(void)
{
	unsigned int i;

	if (!*fault)
		return 0;
	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(faults[i].name, fault)) {
			chosen = &faults[i];
			return 0;
		}
	}
	pr_err("%s: no fault is called \"%s\"; there are:\n", KBUILD_MODNAME,
	       fault);
	for (i = 0; i < ARRAY_SIZE(faults); i++)
		pr_err("%s:   %s\n", KBUILD_MODNAME, faults[i].name);
	return -EINVAL;
}

/**
 * pykit_blk_fault_validate() - go wrong in negotiation
 * @vdev: the device, its operations interposed
 */
void pykit_blk_fault_validate(struct virtio_device *vdev)
{
	if (chosen->direct)
		__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	if (chosen->negotiate)
		chosen->negotiate(vdev);
}

/**
 * pykit_blk_fault_status_write() - go wrong in writing the status
 * @status: what should be written
 *
 * Return: what is written.
 */
u8 pykit_blk_fault_status_write(u8 status)
{
	return chosen->status_write ? chosen->status_write(status) : status;
}

/**
 * pykit_blk_fault_status_read() - hide from the core what was not written
 * @status: what was read
 *
 * Return: what the core gets.
 */
u8 pykit_blk_fault_status_read(u8 status)
{
	return chosen->status_read ? chosen->status_read(status) : status;
}

/**
 * pykit_blk_fault_kick() - go wrong in notifying
 * @q: the queue, locked
 * @needed: whether the device needs to be notified
 *
 * Return: whether it is.
 */
bool pykit_blk_fault_kick(struct pykit_blk_vq *q, bool needed)
{
	return chosen->kick ? chosen->kick(q, needed) : needed;
}

/**
 * pykit_blk_fault_callback() - go wrong in asking for interrupts, or for none
 * @q: the queue, locked
 */
void pykit_blk_fault_callback(struct pykit_blk_vq *q)
{
	if (chosen->callback)
		chosen->callback(q);
}

/**
 * pykit_blk_fault_used_again() - forget that a used entry was taken
 * @q: the queue, locked
 *
 * Return: whether to take it once more.
 */
bool pykit_blk_fault_used_again(struct pykit_blk_vq *q)
{
	return chosen->used_again && chosen->used_again(q);
}

/**
 * pykit_blk_fault_trusts_status() - forget how far the device says that it has written
 *
 * Return: whether a status counts that lies behind the used length.
 */
bool pykit_blk_fault_trusts_status(void)
{
	return chosen->trusts_status;
}

/**
 * pykit_blk_fault_wait() - wait for the requests of a device that needs a reset
 * @dev: the device
 *
 * It is reset in the end, so that the run goes on.
 *
 * Return: whether they were waited for.
 */
bool pykit_blk_fault_wait(struct pykit_blk_dev *dev)
{
	if (!chosen->waits_for_broken)
		return false;
	ssleep(WAIT_SECONDS);
	queue_work(pykit_blk_wq, &dev->reset_work);
	return true;
}

/**
 * pykit_blk_fault_damage() - damage the chain that was made available last
 * @q: the queue, locked
 */
void pykit_blk_fault_damage(struct pykit_blk_vq *q)
{
	if (q->fault.armed)
		chosen->damage(q);
}

/**
 * pykit_blk_fault_undo() - undo the damage, now that it was traced
 * @q: the queue, locked
 *
 * But for a head that is used again: what the device says of it is put right
 * when it says so, see pykit_blk_fault_before_get().
 */
void pykit_blk_fault_undo(struct pykit_blk_vq *q)
{
	if (!q->fault.armed)
		return;
	pykit_blk_fault_repair(q);
	pykit_ring_mended(&q->ring);
}

/**
 * pykit_blk_fault_before_get() - an entry is about to be taken by the core
 * @q: the queue, locked
 * @used: the entry
 *
 * The device returns a head twice that was made available twice. The core knows
 * it once, and waits for another one.
 */
void pykit_blk_fault_before_get(struct pykit_blk_vq *q,
				const struct pykit_used *used)
{
	struct vring_used *ring;
	u16 slot;

	if (chosen->damage != pykit_blk_fault_head_reuse || !q->fault.rqs[1] ||
	    used->id != q->fault.rqs[0]->head || !q->fault.returned++)
		return;
	ring = q->ring.split->used;
	slot = used->index & (q->ring.size - 1);
	ring->ring[slot].id = cpu_to_virtio32(q->vq->vdev, q->fault.head);
	q->fault.rqs[1]->status = q->fault.rqs[0]->status;
}

static void pykit_blk_late_kick(struct work_struct *work)
{
	struct pykit_blk_vq *q = container_of(to_delayed_work(work),
					      struct pykit_blk_vq,
					      fault.late_kick);

	pykit_blk_ring_notify(q);
}

/**
 * pykit_blk_fault_init_queue() - prepare a queue for what is to go wrong
 * @q: the queue
 */
void pykit_blk_fault_init_queue(struct pykit_blk_vq *q)
{
	INIT_DELAYED_WORK(&q->fault.late_kick, pykit_blk_late_kick);
	init_completion(&q->fault.done);
}

/**
 * pykit_blk_fault_set_up() - trace the set-up of a queue, damaged if it has to be
 * @q: the queue, which the device does not use yet
 */
void pykit_blk_fault_set_up(struct pykit_blk_vq *q)
{
	if (chosen->set_up)
		chosen->set_up(q);
	pykit_ring_begin(&q->ring);
	pykit_blk_fault_repair(q);
}

/**
 * pykit_blk_fault_before_ready() - go wrong before DRIVER_OK
 * @dev: the device
 *
 * Return: 0 or an error.
 */
int pykit_blk_fault_before_ready(struct pykit_blk_dev *dev)
{
	struct pykit_blk_vq *q = &dev->vqs[0];

	if (chosen->layout == (q->ring.is_packed ? PYKIT_BLK_FAULT_SPLIT :
						   PYKIT_BLK_FAULT_PACKED)) {
		dev_err(&dev->vdev->dev, "fault %s needs a %s ring\n", fault,
			q->ring.is_packed ? "split" : "packed");
		return -EINVAL;
	}
	if (chosen->before_ready)
		chosen->before_ready(q);
	return chosen->damage || chosen->request ? pykit_blk_fault_send(q, chosen) : 0;
}

/**
 * pykit_blk_fault_after_ready() - let the device see a request whose damage was undone
 * @dev: the device
 *
 * Return: 0, -ETIMEDOUT if it does not answer.
 */
int pykit_blk_fault_after_ready(struct pykit_blk_dev *dev)
{
	struct pykit_blk_vq *q = &dev->vqs[0];
	unsigned int i;
	bool notify;

	if (chosen->ready)
		chosen->ready(dev->vdev);
	if (!q->fault.rqs[0])
		return 0;
	spin_lock_irq(&q->lock);
	notify = pykit_blk_ring_kick_prepare(q);
	spin_unlock_irq(&q->lock);
	if (notify)
		pykit_blk_ring_notify(q);
	for (i = 0; i < ARRAY_SIZE(q->fault.rqs) && q->fault.rqs[i]; i++)
		if (!wait_for_completion_timeout(&q->fault.done, REQUEST_TIMEOUT))
			return -ETIMEDOUT;
	pykit_blk_fault_free(q);
	return 0;
}

/**
 * pykit_blk_fault_before_reset() - go wrong before a device is reset that is let go
 * @dev: the device; nothing is outstanding
 */
void pykit_blk_fault_before_reset(struct pykit_blk_dev *dev)
{
	if (chosen->stop)
		chosen->stop(&dev->vqs[0]);
}

/**
 * pykit_blk_fault_after_reset() - go wrong with a device that was reset
 * @dev: the device
 */
void pykit_blk_fault_after_reset(struct pykit_blk_dev *dev)
{
	if (chosen->reset)
		chosen->reset(&dev->vqs[0]);
}

/**
 * pykit_blk_fault_stop() - nothing goes wrong any more
 * @dev: the device; nothing is outstanding
 */
void pykit_blk_fault_stop(struct pykit_blk_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->num_vqs; i++) {
		cancel_delayed_work_sync(&dev->vqs[i].fault.late_kick);
		pykit_blk_fault_free(&dev->vqs[i]);
	}
}
