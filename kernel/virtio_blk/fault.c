// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deliberate bugs, one at a time, for rules to find. Only in a build with
 * FAULT=1, where the parameter "fault" names the bug.
 *
 * Damage to a split ring is done to a request of the driver's own (GET_ID), that
 * is made available before DRIVER_OK. The device must not look at the ring yet:
 * the damage is traced, undone, and only then is the device allowed to go on.
 * Everything else in such a run is as it should be.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "ring.h"

/* One in so many needed kicks, or used entries, goes wrong; from the fourth. */
#define FAULT_EVERY	64
#define FAULT_FIRST	4

/* A doorbell that was withheld is rung after so long. */
#define LATE_KICK_MS	10

#define GET_ID_TIMEOUT	(5 * HZ)

enum pykit_fault {
	FAULT_NONE,
	FEATURE_NOT_OFFERED,
	KICK_WITHHELD,
	DESCRIPTOR_LOOP,
	HEAD_REUSE,
	AVAIL_IDX_STEP,
	STATUS_NOT_LAST,
	USED_TWICE,
	FEATURES_OK_SKIPPED,
	KICK_BEFORE_DRIVER_OK,
	WRITE_BEFORE_HEADER,
};

static const char *const fault_names[] = {
	[FAULT_NONE]		= "",
	[FEATURE_NOT_OFFERED]	= "feature-not-offered",
	[KICK_WITHHELD]		= "kick-withheld",
	[DESCRIPTOR_LOOP]	= "descriptor-loop",
	[HEAD_REUSE]		= "head-reuse",
	[AVAIL_IDX_STEP]	= "avail-idx-step",
	[STATUS_NOT_LAST]	= "status-not-last",
	[USED_TWICE]		= "used-twice",
	[FEATURES_OK_SKIPPED]	= "features-ok-skipped",
	[KICK_BEFORE_DRIVER_OK]	= "kick-before-driver-ok",
	[WRITE_BEFORE_HEADER]	= "write-before-header",
};

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "Deliberate bug to enable (names in fault.c)");

static enum pykit_fault pykit_fault;

/**
 * pykit_blk_fault_init() - find the fault that the parameter names
 *
 * Return: 0, -EINVAL if there is none of that name.
 */
int pykit_blk_fault_init(void)
{
	int i = match_string(fault_names, ARRAY_SIZE(fault_names), fault);

	if (i >= 0) {
		pykit_fault = i;
		return 0;
	}
	pr_err("%s: no fault is called \"%s\"; there are:\n", KBUILD_MODNAME,
	       fault);
	for (i = FAULT_NONE + 1; i < ARRAY_SIZE(fault_names); i++)
		pr_err("%s:   %s\n", KBUILD_MODNAME, fault_names[i]);
	return -EINVAL;
}

/* A feature of block devices that is defined and that this one lacks. */
static u64 pykit_blk_feature_not_offered(u64 offered)
{
	static const unsigned int candidates[] = {
		VIRTIO_BLK_F_SECURE_ERASE, VIRTIO_BLK_F_RO,
		VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_F_DISCARD,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(candidates); i++)
		if (!(offered & BIT_ULL(candidates[i])))
			return BIT_ULL(candidates[i]);
	return 0;
}

/**
 * pykit_blk_fault_validate() - go wrong in negotiation
 * @vdev: the device, its operations interposed
 */
void pykit_blk_fault_validate(struct virtio_device *vdev)
{
	u64 feature;

	switch (pykit_fault) {
	case FEATURE_NOT_OFFERED:
		/* Acknowledged, then thought better of: the run goes on. */
		feature = pykit_blk_feature_not_offered(pykit_config_offered(vdev));
		vdev->features |= feature;
		vdev->config->finalize_features(vdev);
		vdev->features &= ~feature;
		vdev->config->finalize_features(vdev);
		break;
	case DESCRIPTOR_LOOP:
		/* In an indirect table a loop would break its rules as well. */
		__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
		break;
	default:
		break;
	}
}

/**
 * pykit_blk_fault_status_write() - go wrong in writing the status
 * @status: what should be written
 *
 * Return: what is written.
 */
u8 pykit_blk_fault_status_write(u8 status)
{
	if (pykit_fault == FEATURES_OK_SKIPPED)
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	return status;
}

/**
 * pykit_blk_fault_status_read() - hide from the core what was not written
 * @status: what was read
 *
 * Return: what the core gets.
 */
u8 pykit_blk_fault_status_read(u8 status)
{
	if (pykit_fault == FEATURES_OK_SKIPPED &&
	    status & VIRTIO_CONFIG_S_DRIVER)
		status |= VIRTIO_CONFIG_S_FEATURES_OK;
	return status;
}

static bool pykit_blk_every_so_often(unsigned int *count)
{
	return ++*count % FAULT_EVERY == FAULT_FIRST;
}

static void pykit_blk_late_kick(struct work_struct *work)
{
	struct pykit_blk_vq *q = container_of(to_delayed_work(work),
					      struct pykit_blk_vq,
					      fault.late_kick);

	pykit_blk_ring_notify(q);
}

/**
 * pykit_blk_fault_withhold() - forget to notify
 * @q: the queue, locked; the device needs to be notified
 *
 * Return: whether not to notify.
 */
bool pykit_blk_fault_withhold(struct pykit_blk_vq *q)
{
	if (pykit_fault != KICK_WITHHELD || !pykit_blk_every_so_often(&q->fault.kicks))
		return false;
	schedule_delayed_work(&q->fault.late_kick, msecs_to_jiffies(LATE_KICK_MS));
	return true;
}

/**
 * pykit_blk_fault_take_again() - forget that a used entry was taken
 * @q: the queue, locked
 *
 * Return: whether to take it once more.
 */
bool pykit_blk_fault_take_again(struct pykit_blk_vq *q)
{
	return pykit_fault == USED_TWICE && pykit_blk_every_so_often(&q->fault.used);
}

/* Slot @pos of the chain at @head, in the ring or in its indirect table. */
static struct vring_desc *pykit_blk_chain_desc(struct pykit_blk_vq *q, u16 head,
					       unsigned int pos)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct vring_desc *table = q->ring.split->desc;
	u16 slot = head;

	if (virtio16_to_cpu(vdev, table[head].flags) & VRING_DESC_F_INDIRECT) {
		table = pykit_ring_memory(vdev,
					  virtio64_to_cpu(vdev, table[head].addr));
		if (!table)
			return NULL;
		slot = 0;
	}
	while (pos--)
		slot = virtio16_to_cpu(vdev, table[slot].next);
	return &table[slot];
}

/* Exchange two descriptors, but for where they lead. */
static void pykit_blk_swap_descs(struct pykit_blk_vq *q, u16 head, unsigned int a,
				 unsigned int b)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct vring_desc *x = pykit_blk_chain_desc(q, head, a);
	struct vring_desc *y = pykit_blk_chain_desc(q, head, b);
	__virtio16 write = cpu_to_virtio16(vdev, VRING_DESC_F_WRITE);

	if (!x || !y)
		return;
	swap(x->addr, y->addr);
	swap(x->len, y->len);
	if ((x->flags ^ y->flags) & write) {
		x->flags ^= write;
		y->flags ^= write;
	}
}

static void pykit_blk_change_avail_idx(struct pykit_blk_vq *q, s16 by)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct vring_avail *avail = q->ring.split->avail;

	avail->idx = cpu_to_virtio16(vdev, virtio16_to_cpu(vdev, avail->idx) + by);
}

/* The last descriptor of a request's chain leads to itself. */
static void pykit_blk_link_last(struct pykit_blk_vq *q, u16 head)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct vring_desc *last = pykit_blk_chain_desc(q, head, 2);

	q->fault.next = last->next;
	last->next = cpu_to_virtio16(vdev, last - q->ring.split->desc);
	last->flags |= cpu_to_virtio16(vdev, VRING_DESC_F_NEXT);
}

static void pykit_blk_unlink_last(struct pykit_blk_vq *q, u16 head)
{
	struct vring_desc *last = &q->ring.split->desc[head];
	unsigned int pos = 2;

	while (pos--)
		last = &q->ring.split->desc[virtio16_to_cpu(q->vq->vdev, last->next)];
	last->next = q->fault.next;
	last->flags &= ~cpu_to_virtio16(q->vq->vdev, VRING_DESC_F_NEXT);
}

/**
 * pykit_blk_fault_damage() - damage the chain that was made available last
 * @q: the queue, locked
 */
void pykit_blk_fault_damage(struct pykit_blk_vq *q)
{
	struct virtio_device *vdev = q->vq->vdev;
	__virtio16 *entry;

	if (!q->fault.armed)
		return;
	entry = &q->ring.split->avail->ring[q->ring.next_avail & (q->ring.size - 1)];
	q->fault.head = virtio16_to_cpu(vdev, *entry);
	switch (pykit_fault) {
	case DESCRIPTOR_LOOP:
		pykit_blk_link_last(q, q->fault.head);
		break;
	case AVAIL_IDX_STEP:
		pykit_blk_change_avail_idx(q, 1);
		break;
	case STATUS_NOT_LAST:
		pykit_blk_swap_descs(q, q->fault.head, 1, 2);
		break;
	case WRITE_BEFORE_HEADER:
		pykit_blk_swap_descs(q, q->fault.head, 0, 1);
		break;
	case HEAD_REUSE:
		*entry = cpu_to_virtio16(vdev, q->fault.rqs[0]->head);
		break;
	default:
		break;
	}
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
	switch (pykit_fault) {
	case DESCRIPTOR_LOOP:
		pykit_blk_unlink_last(q, q->fault.head);
		break;
	case AVAIL_IDX_STEP:
		pykit_blk_change_avail_idx(q, -1);
		break;
	case STATUS_NOT_LAST:
		pykit_blk_swap_descs(q, q->fault.head, 1, 2);
		break;
	case WRITE_BEFORE_HEADER:
		pykit_blk_swap_descs(q, q->fault.head, 0, 1);
		break;
	default:
		break;
	}
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

	if (pykit_fault != HEAD_REUSE || !q->fault.rqs[1] ||
	    used->id != q->fault.rqs[0]->head || !q->fault.returned++)
		return;
	ring = q->ring.split->used;
	slot = used->index & (q->ring.size - 1);
	ring->ring[slot].id = cpu_to_virtio32(q->vq->vdev, q->fault.head);
	q->fault.rqs[1]->status = q->fault.rqs[0]->status;
}

static struct pykit_blk_req *pykit_blk_alloc_get_id(struct pykit_blk_vq *q)
{
	struct pykit_blk_req *rq = kzalloc(struct_size(rq, sg, 1), GFP_KERNEL);

	if (!rq)
		return NULL;
	rq->hdr.type = cpu_to_virtio32(q->vq->vdev, VIRTIO_BLK_T_GET_ID);
	rq->in_len = sizeof(rq->status);
	rq->done = &q->fault.done;
	return rq;
}

static int pykit_blk_add_get_id(struct pykit_blk_vq *q, struct pykit_blk_req *token,
				bool armed)
{
	struct pykit_blk_req *rq = q->fault.rqs[0];
	struct pykit_blk_data data = {
		.sgl = rq->sg,
		.bytes = VIRTIO_BLK_ID_BYTES,
	};
	int err;

	sg_init_one(rq->sg, q->fault.id, VIRTIO_BLK_ID_BYTES);
	spin_lock_irq(&q->lock);
	q->fault.armed = armed;
	err = pykit_blk_add(q, rq, &data, token);
	q->fault.armed = false;
	spin_unlock_irq(&q->lock);
	return err;
}

static int pykit_blk_damage_request(struct pykit_blk_vq *q)
{
	int err;

	if (q->ring.is_packed) {
		dev_err(&q->vq->vdev->dev, "fault %s needs a split ring\n", fault);
		return -EINVAL;
	}
	q->fault.id = kzalloc(VIRTIO_BLK_ID_BYTES, GFP_KERNEL);
	q->fault.rqs[0] = pykit_blk_alloc_get_id(q);
	if (!q->fault.id || !q->fault.rqs[0])
		return -ENOMEM;
	err = pykit_blk_add_get_id(q, q->fault.rqs[0], pykit_fault != HEAD_REUSE);
	if (err || pykit_fault != HEAD_REUSE)
		return err;

	/* The same buffers once more, as the head says that it is used for. */
	q->fault.rqs[1] = pykit_blk_alloc_get_id(q);
	if (!q->fault.rqs[1])
		return -ENOMEM;
	return pykit_blk_add_get_id(q, q->fault.rqs[1], true);
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
 * pykit_blk_fault_before_ready() - go wrong before DRIVER_OK
 * @dev: the device
 *
 * Return: 0 or an error.
 */
int pykit_blk_fault_before_ready(struct pykit_blk_dev *dev)
{
	switch (pykit_fault) {
	case DESCRIPTOR_LOOP:
	case HEAD_REUSE:
	case AVAIL_IDX_STEP:
	case STATUS_NOT_LAST:
	case WRITE_BEFORE_HEADER:
		return pykit_blk_damage_request(&dev->vqs[0]);
	case KICK_BEFORE_DRIVER_OK:
		pykit_blk_ring_notify(&dev->vqs[0]);
		return 0;
	default:
		return 0;
	}
}

static void pykit_blk_free_requests(struct pykit_blk_vq *q)
{
	kfree(q->fault.rqs[0]);
	kfree(q->fault.rqs[1]);
	kfree(q->fault.id);
	q->fault.rqs[0] = NULL;
	q->fault.rqs[1] = NULL;
	q->fault.id = NULL;
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

	if (!q->fault.rqs[0])
		return 0;
	spin_lock_irq(&q->lock);
	notify = pykit_blk_ring_kick_prepare(q);
	spin_unlock_irq(&q->lock);
	if (notify)
		pykit_blk_ring_notify(q);
	for (i = 0; i < ARRAY_SIZE(q->fault.rqs) && q->fault.rqs[i]; i++)
		if (!wait_for_completion_timeout(&q->fault.done, GET_ID_TIMEOUT))
			return -ETIMEDOUT;
	pykit_blk_free_requests(q);
	return 0;
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
		pykit_blk_free_requests(&dev->vqs[i]);
	}
}
