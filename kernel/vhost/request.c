// SPDX-License-Identifier: GPL-2.0-only
/*
 * Block requests, from header to status byte.
 */
#include "pykit_vhost.h"

static u8 pykit_vhost_serve_in(struct pykit_disk *disk, struct pykit_request *rq)
{
	if (!pykit_vhost_disk_holds(disk, rq->sector, iov_iter_count(&rq->in)) ||
	    !pykit_vhost_disk_read(disk, rq->sector, &rq->in))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 pykit_vhost_serve_out(struct pykit_disk *disk, struct pykit_request *rq)
{
	if (disk->read_only ||
	    !pykit_vhost_disk_holds(disk, rq->sector, iov_iter_count(&rq->out)) ||
	    !pykit_vhost_disk_write(disk, rq->sector, &rq->out))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 pykit_vhost_serve_range(struct pykit_disk *disk, struct pykit_request *rq)
{
	struct virtio_blk_discard_write_zeroes range;
	u32 flags, allowed = 0;
	u64 sector, bytes;
	bool done;

	if (rq->type == VIRTIO_BLK_T_WRITE_ZEROES)
		allowed = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	if (!copy_from_iter_full(&range, sizeof(range), &rq->out))
		return VIRTIO_BLK_S_IOERR;
	flags = le32_to_cpu(range.flags);
	if (flags & ~allowed)
		return VIRTIO_BLK_S_UNSUPP;
	sector = le64_to_cpu(range.sector);
	bytes = (u64)le32_to_cpu(range.num_sectors) << SECTOR_SHIFT;
	if (disk->read_only || bytes > PYKIT_VHOST_MAX_RANGE_BYTES ||
	    !pykit_vhost_disk_holds(disk, sector, bytes))
		return VIRTIO_BLK_S_IOERR;
	if (rq->type == VIRTIO_BLK_T_DISCARD)
		done = pykit_vhost_disk_discard(disk, sector, bytes);
	else
		done = pykit_vhost_disk_zero(disk, sector, bytes, flags);
	return done ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static u8 pykit_vhost_serve_ranges(struct pykit_disk *disk, struct pykit_request *rq)
{
	u8 status = VIRTIO_BLK_S_IOERR;
	unsigned int count = 0;

	while (iov_iter_count(&rq->out)) {
		if (++count > PYKIT_VHOST_MAX_RANGES)
			return VIRTIO_BLK_S_IOERR;
		status = pykit_vhost_serve_range(disk, rq);
		if (status != VIRTIO_BLK_S_OK)
			break;
	}
	return status;
}

static u8 pykit_vhost_serve_get_id(struct pykit_request *rq)
{
	char id[VIRTIO_BLK_ID_BYTES] = PYKIT_VHOST_ID;

	if (iov_iter_count(&rq->in) < sizeof(id) ||
	    copy_to_iter(id, sizeof(id), &rq->in) != sizeof(id))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 pykit_vhost_serve_request(struct pykit_vhost *v, struct pykit_request *rq)
{
	switch (rq->type) {
	case VIRTIO_BLK_T_IN:
		return pykit_vhost_serve_in(&v->disk, rq);
	case VIRTIO_BLK_T_OUT:
		return pykit_vhost_serve_out(&v->disk, rq);
	case VIRTIO_BLK_T_FLUSH:
		return pykit_vhost_disk_flush(&v->disk) ? VIRTIO_BLK_S_OK :
						    VIRTIO_BLK_S_IOERR;
	case VIRTIO_BLK_T_GET_ID:
		return pykit_vhost_serve_get_id(rq);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return pykit_vhost_serve_ranges(&v->disk, rq);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/**
 * pykit_vhost_request_parse() - find a request's parts
 * @vq: the queue, locked; vhost has collected a chain in its iov
 * @out: how many parts of it are to be read
 * @in: how many parts behind them are to be written
 * @rq: filled in
 *
 * Their framing is the driver's choice: the header is the first 16 bytes to be
 * read, the status the last one to be written.
 *
 * Return: 0, -EINVAL for a chain that is no block request.
 */
int pykit_vhost_request_parse(struct vhost_virtqueue *vq, unsigned int out,
			      unsigned int in, struct pykit_request *rq)
{
	struct virtio_blk_outhdr hdr;

	rq->readable = iov_length(vq->iov, out);
	rq->writable = iov_length(vq->iov + out, in);
	iov_iter_init(&rq->out, ITER_SOURCE, vq->iov, out, rq->readable);
	iov_iter_init(&rq->in, ITER_DEST, vq->iov + out, in, rq->writable);
	if (!rq->writable || !copy_from_iter_full(&hdr, sizeof(hdr), &rq->out))
		return -EINVAL;
	while (!vq->iov[out + in - 1].iov_len)
		in--;
	rq->status = vq->iov[out + in - 1].iov_base +
		     vq->iov[out + in - 1].iov_len - 1;
	iov_iter_truncate(&rq->in, rq->writable - 1);
	rq->type = vhost32_to_cpu(vq, hdr.type);
	rq->sector = vhost64_to_cpu(vq, hdr.sector);
	return 0;
}

/* The end of a request, with the status byte that the driver will find. */
static void pykit_vhost_trace_end(struct pykit_vhost_vq *q, const struct pykit_request *rq,
				  const struct pykit_answer *answer)
{
	struct pykit_blk_end end = {
		.sector = rq->sector,
		.type = rq->type,
		.len = answer->len,
		.head = answer->id,
	};

	if (trace_pykit_vhost_blk_enabled() && !get_user(end.status, rq->status))
		pykit_trace_vq(vhost_blk, &q->vqid, &end);
}

/**
 * pykit_vhost_request_serve() - do what a request says
 * @v: the device
 * @q: the queue, locked
 * @rq: the request
 * @answer: what to say of it; its id is known
 *
 * What was written is counted from the first byte on, so that a read that failed
 * has written nothing but its status byte, and that only counts if it comes
 * first.
 */
void pykit_vhost_request_serve(struct pykit_vhost *v, struct pykit_vhost_vq *q,
			       struct pykit_request *rq, struct pykit_answer *answer)
{
	size_t left;
	u8 status;

	if (!pykit_fault_result(pykit_vhost_fault_serve(q, rq, &status), false))
		status = pykit_vhost_serve_request(v, rq);
	left = iov_iter_count(&rq->in);
	answer->type = rq->type;
	answer->status = status;
	answer->writable = rq->writable;
	answer->len = rq->writable - 1 - left;
	if (pykit_fault_result(pykit_vhost_fault_status(q, rq, &status), false) ||
	    !put_user(status, rq->status))
		answer->len += !left;
	else
		vq_err(&q->vq, "cannot write the status of the chain at %u\n",
		       answer->id);
	pykit_vhost_trace_end(q, rq, answer);
}
