// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that do not answer: broken ones, and those that let a request wait
 * for too long.
 */
#include <linux/blkdev.h>

#include "../compat/virtio.h"
#include "ring.h"

/**
 * pykit_blk_any_broken() - whether a device will not answer
 * @dev: the device
 *
 * Return: whether one of its queues is broken.
 */
bool pykit_blk_any_broken(struct pykit_blk_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->num_vqs; i++)
		/* After a restore that failed there is no queue at all. */
		if (dev->vqs[i].vq && virtqueue_is_broken(dev->vqs[i].vq))
			return true;
	return false;
}

/*
 * Reads and writes may be done twice. To append twice is to append two blocks;
 * and what was lost twice is not worth a third reset.
 */
static bool pykit_blk_may_repeat(struct request *req)
{
	return !blk_rq_is_passthrough(req) && !(req->rq_flags & RQF_DONTPREP) &&
	       req_op(req) != REQ_OP_ZONE_APPEND;
}

/* A request that the device was reset under: once more, or an error. */
static bool pykit_blk_requeue(struct request *req, void *data)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	bool *again = data;

	if (blk_mq_request_completed(req))
		return true;
	if (*again && pykit_blk_may_repeat(req)) {
		/* The mark that it was given back once. */
		req->rq_flags |= RQF_DONTPREP;
		pykit_blk_undo_setup(req);
		blk_mq_requeue_request(req, false);
	} else {
		*pykit_blk_status(rq) = VIRTIO_BLK_S_IOERR;
		blk_mq_complete_request(req);
	}
	return true;
}

static void pykit_blk_break_device(struct pykit_blk_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->num_vqs; i++) {
		struct pykit_blk_vq *q = &dev->vqs[i];

		spin_lock_irq(&q->lock);
		if (q->vq)
			pykit_ring_trace_broken(&q->ring, PYKIT_QUEUE_BROKEN);
		spin_unlock_irq(&q->lock);
	}
	virtio_break_device(dev->vdev);
}

/*
 * Stop the device and settle what it has under way. The block layer sends
 * nothing any more when this returns.
 */
static void pykit_blk_settle(struct pykit_blk_dev *dev, bool again)
{
	unsigned int i;

	blk_mq_quiesce_queue(dev->disk->queue);
	virtio_reset_device(dev->vdev);
	virtio_synchronize_cbs(dev->vdev);
	for (i = 0; i < dev->num_vqs; i++) {
		struct pykit_blk_vq *q = &dev->vqs[i];

		spin_lock_irq(&q->lock);
		/* What it has done is done, even if it did not say so. */
		pykit_blk_reap(q);
		if (q->vq)
			pykit_blk_ring_empty(q, q->vq);
		spin_unlock_irq(&q->lock);
	}
	blk_mq_tagset_busy_iter(&dev->tag_set, pykit_blk_requeue, &again);
	blk_mq_tagset_wait_completed_request(&dev->tag_set);
}

/**
 * pykit_blk_resume() - let the block layer send requests again
 * @dev: the device
 */
void pykit_blk_resume(struct pykit_blk_dev *dev)
{
	struct request_queue *queue = dev->disk->queue;

	blk_mq_unquiesce_queue(queue);
	blk_mq_start_stopped_hw_queues(queue, true);
	blk_mq_kick_requeue_list(queue);
}

/**
 * pykit_blk_fail_outstanding() - end all requests of a device that is broken
 * @dev: the device
 *
 * No interrupt will come for what is outstanding. The queues stay broken, so
 * that later requests fail by themselves.
 */
void pykit_blk_fail_outstanding(struct pykit_blk_dev *dev)
{
	mutex_lock(&dev->recover_lock);
	pykit_blk_break_device(dev);
	pykit_blk_settle(dev, false);
	pykit_blk_resume(dev);
	mutex_unlock(&dev->recover_lock);
}

static void pykit_blk_broken_work(struct work_struct *work)
{
	struct pykit_blk_dev *dev = container_of(work, struct pykit_blk_dev,
						 broken_work);

	/* Unless it was reset meanwhile. */
	if (!atomic_read(&dev->broken))
		return;
	dev_err(&dev->vdev->dev, "device is broken: failing its requests\n");
	pykit_blk_fail_outstanding(dev);
}

/**
 * pykit_blk_broken() - fail the requests that wait for a broken device
 * @dev: the device
 */
void pykit_blk_broken(struct pykit_blk_dev *dev)
{
	if (!atomic_xchg(&dev->broken, 1))
		queue_work(pykit_blk_wq, &dev->broken_work);
}

/* Negotiate anew, which calls this driver's restore(). */
static void pykit_blk_reset_device(struct pykit_blk_dev *dev)
{
	struct virtio_device *vdev = dev->vdev;
	int err;

	dev_warn(&vdev->dev, "no answer for %u s: resetting the device\n",
		 dev->tag_set.timeout / HZ);
	pykit_blk_trace_stage(vdev, PYKIT_STAGE_FREEZE, -ETIMEDOUT);
	pykit_blk_settle(dev, true);
	pykit_fault_call(pykit_blk_fault_stop(dev));
	pykit_blk_del_vqs(dev);
	err = compat_device_restore(vdev);
	if (err)
		dev_err(&vdev->dev, "device does not come back: %d\n", err);
}

/* A kernel without suspend cannot restore a device. */
static void pykit_blk_give_up_device(struct pykit_blk_dev *dev)
{
	dev_err(&dev->vdev->dev, "no answer for %u s: failing its requests\n",
		dev->tag_set.timeout / HZ);
	pykit_blk_break_device(dev);
	pykit_blk_settle(dev, false);
	pykit_blk_resume(dev);
}

static void pykit_blk_reset_work(struct work_struct *work)
{
	struct pykit_blk_dev *dev = container_of(work, struct pykit_blk_dev,
						 reset_work);

	mutex_lock(&dev->recover_lock);
	if (dev->vqs[0].vq && !atomic_read(&dev->broken)) {
		if (IS_ENABLED(CONFIG_PM_SLEEP))
			pykit_blk_reset_device(dev);
		else
			pykit_blk_give_up_device(dev);
	}
	mutex_unlock(&dev->recover_lock);
}

/**
 * pykit_blk_timeout() - a request has waited for too long
 * @req: the request
 *
 * Return: BLK_EH_RESET_TIMER: a device is reset for all its requests, not here.
 */
enum blk_eh_timer_return pykit_blk_timeout(struct request *req)
{
	struct pykit_blk_dev *dev = req->q->queuedata;

	if (dev->recovers)
		queue_work(pykit_blk_wq, &dev->reset_work);
	return BLK_EH_RESET_TIMER;
}

/**
 * pykit_blk_init_recovery() - prepare for a device that does not answer
 * @dev: the device
 */
void pykit_blk_init_recovery(struct pykit_blk_dev *dev)
{
	INIT_WORK(&dev->broken_work, pykit_blk_broken_work);
	INIT_WORK(&dev->reset_work, pykit_blk_reset_work);
	mutex_init(&dev->recover_lock);
}

/**
 * pykit_blk_stop_recovery() - cancel recovery of a device
 * @dev: the device
 */
void pykit_blk_stop_recovery(struct pykit_blk_dev *dev)
{
	cancel_work_sync(&dev->reset_work);
	cancel_work_sync(&dev->broken_work);
}
