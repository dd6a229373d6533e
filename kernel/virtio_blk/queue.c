// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: from the block layer to a virtqueue and back.
 */
#include <linux/bvec.h>
#include <linux/slab.h>
#include <pykit_passed.h>

#include "../compat/blk.h"
#include "../compat/zoned.h"
#include "ring.h"

static blk_status_t pykit_blk_result(u8 status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return BLK_STS_OK;
	case VIRTIO_BLK_S_UNSUPP:
		return BLK_STS_NOTSUPP;
	case VIRTIO_BLK_S_ZONE_OPEN_RESOURCE:
		return BLK_STS_ZONE_OPEN_RESOURCE;
	case VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE:
		return BLK_STS_ZONE_ACTIVE_RESOURCE;
	default:
		return BLK_STS_IOERR;
	}
}

/* The ranges of a discard or write-zeroes request, as its payload. */
static int pykit_blk_setup_ranges(struct request *req, u32 flags)
{
	unsigned short count = blk_rq_nr_discard_segments(req), n = 0;
	struct virtio_blk_discard_write_zeroes *ranges;
	struct bio *bio;

	ranges = kcalloc(count, sizeof(*ranges), GFP_ATOMIC);
	if (!ranges)
		return -ENOMEM;

	if (count == 1) {
		/* One range may be many bios: those merge by contiguity only. */
		ranges[0].sector = cpu_to_le64(blk_rq_pos(req));
		ranges[0].num_sectors = cpu_to_le32(blk_rq_sectors(req));
		ranges[0].flags = cpu_to_le32(flags);
	} else {
		__rq_for_each_bio(bio, req) {
			if (WARN_ON_ONCE(n == count))
				break;
			ranges[n].sector = cpu_to_le64(bio->bi_iter.bi_sector);
			ranges[n].num_sectors = cpu_to_le32(bio_sectors(bio));
			ranges[n++].flags = cpu_to_le32(flags);
		}
	}
	req->special_vec.bv_page = virt_to_page(ranges);
	req->special_vec.bv_offset = offset_in_page(ranges);
	req->special_vec.bv_len = count * sizeof(*ranges);
	req->rq_flags |= RQF_SPECIAL_PAYLOAD;
	return 0;
}

/* The type of a request, or -1 if there is none for it. */
static int pykit_blk_request_type(struct request *req)
{
	switch (req_op(req)) {
	case REQ_OP_READ:
		return VIRTIO_BLK_T_IN;
	case REQ_OP_WRITE:
		return VIRTIO_BLK_T_OUT;
	case REQ_OP_FLUSH:
		return VIRTIO_BLK_T_FLUSH;
	case REQ_OP_DISCARD:
		return VIRTIO_BLK_T_DISCARD;
	case REQ_OP_WRITE_ZEROES:
		return VIRTIO_BLK_T_WRITE_ZEROES;
	case REQ_OP_SECURE_ERASE:
		return VIRTIO_BLK_T_SECURE_ERASE;
	case REQ_OP_ZONE_APPEND:
		return VIRTIO_BLK_T_ZONE_APPEND;
	case REQ_OP_ZONE_OPEN:
		return VIRTIO_BLK_T_ZONE_OPEN;
	case REQ_OP_ZONE_CLOSE:
		return VIRTIO_BLK_T_ZONE_CLOSE;
	case REQ_OP_ZONE_FINISH:
		return VIRTIO_BLK_T_ZONE_FINISH;
	case REQ_OP_ZONE_RESET:
		return VIRTIO_BLK_T_ZONE_RESET;
	case REQ_OP_ZONE_RESET_ALL:
		return VIRTIO_BLK_T_ZONE_RESET_ALL;
	default:
		return -1;
	}
}

/* The device says where it appended to, before the status. */
static void pykit_blk_setup_append(struct virtio_device *vdev, struct pykit_blk_req *rq)
{
	if (!COMPAT_HAS_ZONES ||
	    virtio32_to_cpu(vdev, rq->hdr.type) != VIRTIO_BLK_T_ZONE_APPEND)
		return;
	rq->in_len = sizeof(rq->append);
	rq->append.status = PYKIT_BLK_UNWRITTEN;
}

static blk_status_t pykit_blk_setup_request(struct virtio_device *vdev, struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	u32 flags = 0;
	u64 sector;
	int type;

	rq->hdr.ioprio = cpu_to_virtio32(vdev, req_get_ioprio(req));
	rq->in_len = sizeof(rq->status);
	rq->done = NULL;
	rq->mark = 0;
	rq->status = PYKIT_BLK_UNWRITTEN;
	/* Type and sector of those are there already, see pykit_blk_submit_drv_in(). */
	if (blk_op_is_passthrough(req_op(req))) {
		pykit_blk_setup_append(vdev, rq);
		return BLK_STS_OK;
	}

	type = pykit_blk_request_type(req);
	sector = blk_rq_pos(req);
	switch (type) {
	case -1:
		return BLK_STS_NOTSUPP;
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_ZONE_RESET_ALL:
		sector = 0;
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		if (!(req->cmd_flags & REQ_NOUNMAP))
			flags = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
		fallthrough;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_SECURE_ERASE:
		/* The ranges say where. */
		sector = 0;
		if (pykit_blk_setup_ranges(req, flags))
			return BLK_STS_RESOURCE;
		break;
	default:
		break;
	}
	rq->hdr.type = cpu_to_virtio32(vdev, type);
	rq->hdr.sector = cpu_to_virtio64(vdev, sector);
	pykit_blk_setup_append(vdev, rq);
	return BLK_STS_OK;
}

static int pykit_blk_map_data(struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	unsigned int segments = blk_rq_nr_phys_segments(req), i;

	rq->sgt.nents = 0;
	if (!segments)
		return 0;
	rq->sgt.sgl = rq->sg;
	if (segments <= PYKIT_BLK_INLINE_SG) {
		/* There is room in the request. */
		for (i = 0; i < segments; i++)
			rq->sg[i] = (struct scatterlist) { };
		rq->sgt.nents = segments;
	} else if (sg_alloc_table_chained(&rq->sgt, segments, rq->sg,
					  PYKIT_BLK_INLINE_SG)) {
		rq->sgt.nents = 0;
		return -ENOMEM;
	}
	return compat_rq_map_sg(req, rq->sgt.sgl);
}

static __always_inline void __pykit_blk_undo_setup(struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);

	if (rq->sgt.nents > PYKIT_BLK_INLINE_SG)
		sg_free_table_chained(&rq->sgt, PYKIT_BLK_INLINE_SG);
	if (req->rq_flags & RQF_SPECIAL_PAYLOAD) {
		kfree(bvec_virt(&req->special_vec));
		req->rq_flags &= ~RQF_SPECIAL_PAYLOAD;
	}
}

/**
 * pykit_blk_undo_setup() - give back what a request was set up with
 * @req: the request
 */
void pykit_blk_undo_setup(struct request *req)
{
	__pykit_blk_undo_setup(req);
}

static void pykit_blk_trace_start(struct pykit_blk_vq *q, const struct pykit_blk_req *rq,
				  const struct pykit_blk_data *data, u16 head,
				  u64 status_addr)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_blk blk = {
		.sector = virtio64_to_cpu(vdev, rq->hdr.sector),
		.status_addr = status_addr,
		.bytes = data->bytes,
		.type = virtio32_to_cpu(vdev, rq->hdr.type),
		.head = head,
		.segments = data->segments,
	};
	u16 i;

	pykit_trace_vq(blk_start, &q->ring.vqid, &blk);
	for (i = 0; i < data->segments; i++)
		pykit_trace_vq(blk_range, &q->ring.vqid, head, i,
			       le64_to_cpu(data->ranges[i].sector),
			       le32_to_cpu(data->ranges[i].num_sectors),
			       le32_to_cpu(data->ranges[i].flags));
}

/* As sg_init_one(), without calls: the compiler clears so little better. */
static __always_inline void pykit_blk_init_list(struct scatterlist *sg, void *buf,
						unsigned int len)
{
	*sg = (struct scatterlist) { };
	sg_set_buf(sg, buf, len);
	sg_mark_end(sg);
}

/**
 * struct lists - what the core is given of a request
 * @hdr: its header
 * @status: its status
 * @sgs: the header, data if there is some, the status
 * @out: how many of them the device reads
 * @in: how many it writes
 */
struct lists {
	struct scatterlist hdr;
	struct scatterlist status;
	struct scatterlist *sgs[3];
	unsigned int out;
	unsigned int in;
};

static __always_inline void pykit_blk_make_lists(struct lists *l, struct pykit_blk_req *rq,
						 struct scatterlist *data, bool write)
{
	pykit_blk_init_list(&l->hdr, &rq->hdr, sizeof(rq->hdr));
	pykit_blk_init_list(&l->status, &rq->status, rq->in_len);
	l->sgs[0] = &l->hdr;
	l->sgs[1] = data ? data : &l->status;
	l->sgs[2] = &l->status;
	l->out = 1 + (data && write);
	l->in = 1 + (data && !write);
}

/**
 * pykit_blk_add() - make a request available to the device, and trace it
 * @q: the queue, locked
 * @rq: the request: its header, and room for its status
 * @data: what it carries besides
 * @token: what completes when the device has used it; @rq but for a fault
 *
 * Return: as pykit_blk_ring_add_watched().
 */
noinline int pykit_blk_add(struct pykit_blk_vq *q, struct pykit_blk_req *rq,
			   const struct pykit_blk_data *data,
			   struct pykit_blk_req *token)
{
	u64 status_addr = 0;
	struct lists l;
	int err;

	if (trace_pykit_blk_wrote_enabled() && token == rq && !rq->done)
		pykit_blk_mark(rq, data);
	pykit_passed_forget(NULL, token);
	if (q->data)
		pykit_blk_note_change(q, rq, data);
	pykit_blk_make_lists(&l, rq, data->sgl, data->write);
	err = pykit_blk_ring_add_watched(q, l.sgs, l.out, l.in, token, &rq->status,
					 &status_addr);
	if (!err && trace_pykit_blk_start_enabled())
		pykit_blk_trace_start(q, rq, data, token->head,
				      status_addr + rq->in_len - 1);
	if (err && q->data)
		pykit_blk_note_end(q, rq);
	return err;
}

static struct pykit_blk_vq *pykit_blk_hctx_queue(struct blk_mq_hw_ctx *hctx)
{
	struct pykit_blk_dev *dev = hctx->queue->queuedata;

	return &dev->vqs[hctx->queue_num];
}

/* Ready to be added, and started. */
static blk_status_t pykit_blk_prepare(struct pykit_blk_vq *q, struct request *req)
{
	struct pykit_blk_dev *dev = req->q->queuedata;
	blk_status_t status;

	/* A device that did not come back. */
	if (unlikely(!q->vq))
		return BLK_STS_IOERR;
	status = pykit_blk_setup_request(dev->vdev, req);
	if (unlikely(status))
		return status;
	if (unlikely(pykit_blk_map_data(req) < 0)) {
		pykit_blk_undo_setup(req);
		return BLK_STS_RESOURCE;
	}
	blk_mq_start_request(req);
	return BLK_STS_OK;
}

static noinline int pykit_blk_add_rq_watched(struct pykit_blk_vq *q, struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	struct pykit_blk_data data = { };

	if (rq->sgt.nents) {
		data.sgl = rq->sgt.sgl;
		data.bytes = blk_rq_payload_bytes(req);
		data.write = op_is_write(req_op(req));
	}
	if (req->rq_flags & RQF_SPECIAL_PAYLOAD) {
		data.ranges = bvec_virt(&req->special_vec);
		data.segments = req->special_vec.bv_len / sizeof(*data.ranges);
	}
	return pykit_blk_add(q, rq, &data, rq);
}

static int pykit_blk_add_rq_plain(struct pykit_blk_vq *q, struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	struct lists l;

	pykit_blk_make_lists(&l, rq, rq->sgt.nents ? rq->sgt.sgl : NULL,
			     op_is_write(req_op(req)));
	return pykit_blk_ring_add(q, l.sgs, l.out, l.in, rq);
}

static int pykit_blk_add_rq(struct pykit_blk_vq *q, struct request *req)
{
	return pykit_blk_ring_watches_adds(q) ? pykit_blk_add_rq_watched(q, req) :
					    pykit_blk_add_rq_plain(q, req);
}

static blk_status_t pykit_blk_queue_rq(struct blk_mq_hw_ctx *hctx,
				       const struct blk_mq_queue_data *bd)
{
	struct pykit_blk_vq *q = pykit_blk_hctx_queue(hctx);
	struct request *req = bd->rq;
	blk_status_t status;
	unsigned long flags;
	bool notify = false;
	int err;

	status = pykit_blk_prepare(q, req);
	if (unlikely(status))
		return status;

	spin_lock_irqsave(&q->lock, flags);
	err = pykit_blk_add_rq(q, req);
	if (err != -EIO && (err || bd->last))
		notify = pykit_blk_ring_kick_prepare(q);
	/* Under the lock, so that it comes before the completion that wakes. */
	if (err == -ENOSPC)
		blk_mq_stop_hw_queue(hctx);
	spin_unlock_irqrestore(&q->lock, flags);
	if (notify)
		pykit_blk_ring_notify(q);

	if (!err)
		return BLK_STS_OK;
	pykit_blk_undo_setup(req);
	switch (err) {
	case -ENOSPC:
		return BLK_STS_DEV_RESOURCE;
	case -ENOMEM:
		return BLK_STS_RESOURCE;
	default:
		pykit_blk_broken(hctx->queue->queuedata);
		return BLK_STS_IOERR;
	}
}

static void pykit_blk_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct pykit_blk_vq *q = pykit_blk_hctx_queue(hctx);
	unsigned long flags;
	bool notify;

	spin_lock_irqsave(&q->lock, flags);
	notify = pykit_blk_ring_kick_prepare(q);
	spin_unlock_irqrestore(&q->lock, flags);
	if (notify)
		pykit_blk_ring_notify(q);
}

/* All at once: one lock, one decision to notify. */
static void pykit_blk_add_list(struct pykit_blk_vq *q, struct rq_list *list)
{
	struct request *req;
	unsigned long flags;
	bool notify;

	/* Without a queue there is none that is ready. */
	if (unlikely(!q->vq))
		return;
	spin_lock_irqsave(&q->lock, flags);
	while ((req = compat_rq_list_pop(list))) {
		if (unlikely(pykit_blk_add_rq(q, req))) {
			/* Comes again by pykit_blk_queue_rq(), which knows what to do. */
			pykit_blk_undo_setup(req);
			blk_mq_requeue_request(req, true);
		}
	}
	notify = pykit_blk_ring_kick_prepare(q);
	spin_unlock_irqrestore(&q->lock, flags);
	if (notify)
		pykit_blk_ring_notify(q);
}

static void pykit_blk_queue_rqs(struct rq_list *list)
{
	struct rq_list ready = { }, left = { };
	struct pykit_blk_vq *q = NULL;
	struct request *req;

	while ((req = compat_rq_list_pop(list))) {
		struct pykit_blk_vq *next = pykit_blk_hctx_queue(req->mq_hctx);

		if (q && q != next)
			pykit_blk_add_list(q, &ready);
		q = next;
		compat_rq_list_add(pykit_blk_prepare(q, req) ? &left : &ready, req);
	}
	if (q)
		pykit_blk_add_list(q, &ready);
	*list = left;
}

COMPAT_QUEUE_RQS_OP(pykit_blk_queue_rqs)

static void pykit_blk_complete_rq(struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);

	__pykit_blk_undo_setup(req);
	if (COMPAT_HAS_ZONES && req_op(req) == REQ_OP_ZONE_APPEND) {
		struct pykit_blk_dev *dev = req->q->queuedata;

		req->__sector = virtio64_to_cpu(dev->vdev, rq->append.sector);
	}
	blk_mq_end_request(req, pykit_blk_result(*pykit_blk_status(rq)));
}

static void pykit_blk_complete_batch(struct io_comp_batch *batch)
{
	struct request *req;

	rq_list_for_each(&batch->req_list, req)
		__pykit_blk_undo_setup(req);
	blk_mq_end_request_batch(batch);
}

static noinline void pykit_blk_trace_done(struct pykit_blk_vq *q,
					  struct pykit_blk_req *rq, u32 len)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_blk_end end = {
		.sector = virtio64_to_cpu(vdev, rq->hdr.sector),
		.type = virtio32_to_cpu(vdev, rq->hdr.type),
		.len = len,
		.head = rq->head,
		.status = *pykit_blk_status(rq),
	};

	if (!rq->done)
		pykit_blk_trace_answer(q, rq);
	pykit_trace_vq(blk_done, &q->ring.vqid, &end);
}

/* How much the device may write of a request: data, and what it answers. */
static __always_inline unsigned int pykit_blk_writable(struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	bool returns = rq->sgt.nents && !op_is_write(req_op(req));

	return (returns ? blk_rq_bytes(req) : 0) + rq->in_len;
}

/*
 * What lies behind the used length is not the device's word, and the status is the last
 * byte of all. Devices of the legacy interface are not to be trusted with lengths.
 */
static noinline void pykit_blk_short(struct pykit_blk_vq *q, struct request *req, u32 len)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_blk_passed passed = {
		.type = virtio32_to_cpu(vdev, rq->hdr.type),
		.len = len,
		.head = rq->head,
	};

	pykit_passed_note(&q->ring.vqid, rq, &passed);
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1) ||
	    pykit_fault_result(pykit_blk_fault_trusts_status(), false))
		return;
	dev_err_ratelimited(&vdev->dev, "a request was used with a length of %u, without its status\n",
			    len);
	*pykit_blk_status(rq) = VIRTIO_BLK_S_IOERR;
}

/* The next request that the device is done with, which is to be completed. */
static __always_inline struct request *pykit_blk_next_done(struct pykit_blk_vq *q)
{
	struct pykit_blk_req *rq;
	u32 len;

	while ((rq = pykit_blk_ring_get(q, &len))) {
		if (trace_pykit_blk_done_enabled())
			pykit_blk_trace_done(q, rq, len);
		if (!rq->done) {
			struct request *req = blk_mq_rq_from_pdu(rq);

			if (unlikely(len < pykit_blk_writable(req)))
				pykit_blk_short(q, req, len);
			return req;
		}
		/* A fault's own. */
		complete(rq->done);
	}
	return NULL;
}

static __always_inline bool __pykit_blk_reap(struct pykit_blk_vq *q)
{
	struct request *req;
	bool any = false;

	if (unlikely(!q->vq))
		return false;
	while ((req = pykit_blk_next_done(q))) {
		if (likely(!blk_should_fake_timeout(req->q)))
			blk_mq_complete_request(req);
		any = true;
	}
	return any;
}

/**
 * pykit_blk_reap() - complete what the device is done with
 * @q: the queue, locked
 *
 * Return: whether there was something.
 */
bool pykit_blk_reap(struct pykit_blk_vq *q)
{
	return __pykit_blk_reap(q);
}

/**
 * pykit_blk_vq_done() - the device has used buffers
 * @vq: the virtqueue
 */
void pykit_blk_vq_done(struct virtqueue *vq)
{
	struct pykit_blk_dev *dev = vq->vdev->priv;
	struct pykit_blk_vq *q = &dev->vqs[vq->index];
	unsigned long flags;
	bool done = false;

	pykit_blk_ring_interrupt(q);
	spin_lock_irqsave(&q->lock, flags);
	do {
		pykit_blk_ring_disable_cb(q);
		done |= __pykit_blk_reap(q);
	} while (!pykit_blk_ring_enable_cb(q));
	if (done)
		blk_mq_start_stopped_hw_queues(dev->disk->queue, true);
	spin_unlock_irqrestore(&q->lock, flags);

	if (unlikely(virtqueue_is_broken(vq)))
		pykit_blk_broken(dev);
}

static int pykit_blk_poll(struct blk_mq_hw_ctx *hctx, struct io_comp_batch *batch)
{
	struct pykit_blk_vq *q = pykit_blk_hctx_queue(hctx);
	struct request *req;
	unsigned long flags;
	int found = 0;

	spin_lock_irqsave(&q->lock, flags);
	while (q->vq && (req = pykit_blk_next_done(q))) {
		u8 status = *pykit_blk_status(blk_mq_rq_to_pdu(req));

		found++;
		if (!blk_mq_complete_request_remote(req) &&
		    !blk_mq_add_to_batch(req, batch, status != VIRTIO_BLK_S_OK,
					 pykit_blk_complete_batch))
			pykit_blk_complete_rq(req);
	}
	if (found)
		blk_mq_start_stopped_hw_queues(hctx->queue, true);
	spin_unlock_irqrestore(&q->lock, flags);
	return found;
}

static void pykit_blk_map_queues(struct blk_mq_tag_set *set)
{
	struct pykit_blk_dev *dev = set->driver_data;
	struct blk_mq_queue_map *map = &set->map[HCTX_TYPE_DEFAULT];

	map->nr_queues = dev->num_vqs - dev->num_poll;
	compat_map_hw_queues(map, dev->vdev);
	if (!dev->num_poll)
		return;
	/* No queue of their own: reads go where the rest goes. */
	set->map[HCTX_TYPE_READ].nr_queues = 0;
	/* A polled queue has no interrupt whose affinity could map it to CPUs. */
	map = &set->map[HCTX_TYPE_POLL];
	map->queue_offset = dev->num_vqs - dev->num_poll;
	map->nr_queues = dev->num_poll;
	blk_mq_map_queues(map);
}

const struct blk_mq_ops pykit_blk_mq_ops = {
	.queue_rq	= pykit_blk_queue_rq,
	.queue_rqs	= pykit_blk_queue_rqs_op,
	.commit_rqs	= pykit_blk_commit_rqs,
	.complete	= pykit_blk_complete_rq,
	.map_queues	= pykit_blk_map_queues,
	.poll		= pykit_blk_poll,
	.timeout	= pykit_blk_timeout,
};

/**
 * pykit_blk_submit_drv_in() - have a device answer a request of the driver's own
 * @disk: the disk
 * @type: type of the request
 * @sector: its sector
 * @buf: where the answer goes: allocated memory, not of the stack
 * @bytes: its length
 *
 * Return: 0 or an error.
 */
int pykit_blk_submit_drv_in(struct gendisk *disk, u32 type, u64 sector, void *buf,
			    unsigned int bytes)
{
	struct pykit_blk_dev *dev = disk->private_data;
	struct pykit_blk_req *rq;
	struct request *req;
	int err;

	req = blk_mq_alloc_request(disk->queue, REQ_OP_DRV_IN, 0);
	if (IS_ERR(req))
		return PTR_ERR(req);
	rq = blk_mq_rq_to_pdu(req);
	rq->hdr.type = cpu_to_virtio32(dev->vdev, type);
	rq->hdr.sector = cpu_to_virtio64(dev->vdev, sector);
	err = compat_rq_map_kern(req, buf, bytes, GFP_KERNEL);
	if (!err)
		err = blk_status_to_errno(blk_execute_rq(req, false));
	blk_mq_free_request(req);
	return err;
}
