// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests: from the block layer to a virtqueue and back.
 */
#include <linux/blk-mq.h>
#ifdef PYKIT_HAVE_VIRTIO_MAP_QUEUES
#include <linux/blk-mq-virtio.h>
#endif
#include <linux/bvec.h>
#include <linux/slab.h>

#include "pykit_blk.h"

static blk_status_t pykit_blk_result(u8 status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return BLK_STS_OK;
	case VIRTIO_BLK_S_UNSUPP:
		return BLK_STS_NOTSUPP;
	default:
		return BLK_STS_IOERR;
	}
}

/* The ranges of a discard or write-zeroes request, as its payload. */
static blk_status_t setup_ranges(struct request *req, u32 flags)
{
	unsigned short count = blk_rq_nr_discard_segments(req), n = 0;
	struct virtio_blk_discard_write_zeroes *ranges;
	struct bio *bio;

	ranges = kcalloc(count, sizeof(*ranges), GFP_ATOMIC);
	if (!ranges)
		return BLK_STS_RESOURCE;

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
	return BLK_STS_OK;
}

static blk_status_t setup_request(struct virtio_device *vdev, struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	u64 sector = 0;
	u32 type, flags;
	blk_status_t status = BLK_STS_OK;

	switch (req_op(req)) {
	case REQ_OP_READ:
		type = VIRTIO_BLK_T_IN;
		sector = blk_rq_pos(req);
		break;
	case REQ_OP_WRITE:
		type = VIRTIO_BLK_T_OUT;
		sector = blk_rq_pos(req);
		break;
	case REQ_OP_FLUSH:
		type = VIRTIO_BLK_T_FLUSH;
		break;
	case REQ_OP_DISCARD:
		type = VIRTIO_BLK_T_DISCARD;
		status = setup_ranges(req, 0);
		break;
	case REQ_OP_WRITE_ZEROES:
		type = VIRTIO_BLK_T_WRITE_ZEROES;
		flags = req->cmd_flags & REQ_NOUNMAP ?
			0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
		status = setup_ranges(req, flags);
		break;
	case REQ_OP_DRV_IN:
		type = VIRTIO_BLK_T_GET_ID;
		break;
	default:
		return BLK_STS_NOTSUPP;
	}

	rq->hdr.type = cpu_to_virtio32(vdev, type);
	rq->hdr.ioprio = cpu_to_virtio32(vdev, req_get_ioprio(req));
	rq->hdr.sector = cpu_to_virtio64(vdev, sector);
	rq->done = NULL;
	return status;
}

static int map_data(struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	unsigned int segments = blk_rq_nr_phys_segments(req);

	rq->sgt.nents = 0;
	if (!segments)
		return 0;
	rq->sgt.sgl = rq->sg;
	if (sg_alloc_table_chained(&rq->sgt, segments, rq->sg, PYKIT_BLK_INLINE_SG)) {
		rq->sgt.nents = 0;
		return -ENOMEM;
	}
#ifdef PYKIT_HAVE_MAP_SG_QUEUE
	return blk_rq_map_sg(req->q, req, rq->sgt.sgl);
#else
	return blk_rq_map_sg(req, rq->sgt.sgl);
#endif
}

static void undo_setup(struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);

	if (rq->sgt.nents)
		sg_free_table_chained(&rq->sgt, PYKIT_BLK_INLINE_SG);
	if (req->rq_flags & RQF_SPECIAL_PAYLOAD) {
		kfree(bvec_virt(&req->special_vec));
		req->rq_flags &= ~RQF_SPECIAL_PAYLOAD;
	}
}

static void trace_start(struct pykit_blk_vq *q, const struct pykit_blk_req *rq,
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

	pykit_trace_vq(blk_start, &q->ring.at, &blk);
	for (i = 0; i < data->segments; i++)
		pykit_trace_vq(blk_range, &q->ring.at, head, i,
			       le64_to_cpu(data->ranges[i].sector),
			       le32_to_cpu(data->ranges[i].num_sectors),
			       le32_to_cpu(data->ranges[i].flags));
}

/**
 * pykit_blk_add() - make a request available to the device
 * @q: the queue, locked
 * @rq: the request: its header, and room for its status
 * @data: what it carries besides
 * @token: what completes when the device has used it; @rq but for a fault
 *
 * Return: as pykit_ring_add().
 */
int pykit_blk_add(struct pykit_blk_vq *q, struct pykit_blk_req *rq,
		  const struct pykit_blk_data *data,
		  struct pykit_blk_req *token)
{
	struct scatterlist hdr, status, *sgs[3];
	unsigned int out = 0, in = 0;
	u64 status_addr = 0;
	int err;

	sg_init_one(&hdr, &rq->hdr, sizeof(rq->hdr));
	sgs[out++] = &hdr;
	if (data->sgl && data->write)
		sgs[out++] = data->sgl;
	if (data->sgl && !data->write)
		sgs[out + in++] = data->sgl;
	sg_init_one(&status, &rq->status, sizeof(rq->status));
	sgs[out + in++] = &status;

	err = pykit_ring_add(q, sgs, out, in, token, &rq->status, &status_addr);
	if (!err)
		trace_start(q, rq, data, token->head, status_addr);
	return err;
}

static struct pykit_blk_vq *hctx_queue(struct blk_mq_hw_ctx *hctx)
{
	struct pykit_blk_dev *dev = hctx->queue->queuedata;

	return &dev->vqs[hctx->queue_num];
}

static blk_status_t queue_rq(struct blk_mq_hw_ctx *hctx,
			     const struct blk_mq_queue_data *bd)
{
	struct pykit_blk_dev *dev = hctx->queue->queuedata;
	struct pykit_blk_vq *q = hctx_queue(hctx);
	struct request *req = bd->rq;
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);
	struct pykit_blk_data data = { };
	blk_status_t status;
	unsigned long flags;
	bool notify = false;
	int err;

	status = setup_request(dev->vdev, req);
	if (status)
		return status;
	err = map_data(req);
	if (err < 0) {
		undo_setup(req);
		return BLK_STS_RESOURCE;
	}
	if (err) {
		data.sgl = rq->sgt.sgl;
		data.bytes = blk_rq_payload_bytes(req);
		data.write = op_is_write(req_op(req));
	}
	if (req->rq_flags & RQF_SPECIAL_PAYLOAD) {
		data.ranges = bvec_virt(&req->special_vec);
		data.segments = req->special_vec.bv_len / sizeof(*data.ranges);
	}

	blk_mq_start_request(req);
	spin_lock_irqsave(&q->lock, flags);
	err = pykit_blk_add(q, rq, &data, rq);
	if (err != -EIO && (err || bd->last))
		notify = pykit_ring_kick_prepare(q);
	/* Under the lock, so that it comes before the completion that wakes. */
	if (err == -ENOSPC)
		blk_mq_stop_hw_queue(hctx);
	spin_unlock_irqrestore(&q->lock, flags);
	if (notify)
		pykit_ring_notify(q);

	if (!err)
		return BLK_STS_OK;
	undo_setup(req);
	switch (err) {
	case -ENOSPC:
		return BLK_STS_DEV_RESOURCE;
	case -ENOMEM:
		return BLK_STS_RESOURCE;
	default:
		pykit_blk_broken(dev);
		return BLK_STS_IOERR;
	}
}

static void commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct pykit_blk_vq *q = hctx_queue(hctx);
	unsigned long flags;
	bool notify;

	spin_lock_irqsave(&q->lock, flags);
	notify = pykit_ring_kick_prepare(q);
	spin_unlock_irqrestore(&q->lock, flags);
	if (notify)
		pykit_ring_notify(q);
}

static void complete_rq(struct request *req)
{
	struct pykit_blk_req *rq = blk_mq_rq_to_pdu(req);

	undo_setup(req);
	blk_mq_end_request(req, pykit_blk_result(rq->status));
}

static void map_queues(struct blk_mq_tag_set *set)
{
	struct pykit_blk_dev *dev = set->driver_data;

#ifdef PYKIT_HAVE_VIRTIO_MAP_QUEUES
	blk_mq_virtio_map_queues(&set->map[HCTX_TYPE_DEFAULT], dev->vdev, 0);
#else
	blk_mq_map_hw_queues(&set->map[HCTX_TYPE_DEFAULT], &dev->vdev->dev, 0);
#endif
}

const struct blk_mq_ops pykit_blk_mq_ops = {
	.queue_rq	= queue_rq,
	.commit_rqs	= commit_rqs,
	.complete	= complete_rq,
	.map_queues	= map_queues,
};

static void finish(struct pykit_blk_vq *q, struct pykit_blk_req *rq, u32 len)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_blk_end end = {
		.sector = virtio64_to_cpu(vdev, rq->hdr.sector),
		.type = virtio32_to_cpu(vdev, rq->hdr.type),
		.len = len,
		.head = rq->head,
		.status = rq->status,
	};

	pykit_trace_vq(blk_done, &q->ring.at, &end);
	if (rq->done)
		complete(rq->done);
	else
		blk_mq_complete_request(blk_mq_rq_from_pdu(rq));
}

/**
 * pykit_blk_vq_done() - the device has used buffers
 * @vq: the virtqueue
 */
void pykit_blk_vq_done(struct virtqueue *vq)
{
	struct pykit_blk_dev *dev = vq->vdev->priv;
	struct pykit_blk_vq *q = &dev->vqs[vq->index];
	struct pykit_blk_req *rq;
	unsigned long flags;
	bool done = false;
	u32 len;

	pykit_ring_interrupts(&q->ring);
	spin_lock_irqsave(&q->lock, flags);
	do {
		pykit_ring_disable_cb(q);
		while ((rq = pykit_ring_get(q, &len))) {
			finish(q, rq, len);
			done = true;
		}
	} while (!pykit_ring_enable_cb(q));
	if (done && dev->disk)
		blk_mq_start_stopped_hw_queues(dev->disk->queue, true);
	spin_unlock_irqrestore(&q->lock, flags);

	if (virtqueue_is_broken(vq))
		pykit_blk_broken(dev);
}

/**
 * pykit_blk_get_id() - ask a device for its identity
 * @disk: the disk
 * @id: VIRTIO_BLK_ID_BYTES bytes of allocated memory
 *
 * Return: 0 or an error.
 */
int pykit_blk_get_id(struct gendisk *disk, char *id)
{
	struct request_queue *queue = disk->queue;
	struct request *req;
	int err;

	req = blk_mq_alloc_request(queue, REQ_OP_DRV_IN, 0);
	if (IS_ERR(req))
		return PTR_ERR(req);
#ifdef PYKIT_HAVE_MAP_KERN_QUEUE
	err = blk_rq_map_kern(queue, req, id, VIRTIO_BLK_ID_BYTES, GFP_KERNEL);
#else
	err = blk_rq_map_kern(req, id, VIRTIO_BLK_ID_BYTES, GFP_KERNEL);
#endif
	if (!err)
		err = blk_status_to_errno(blk_execute_rq(req, false));
	blk_mq_free_request(req);
	return err;
}
