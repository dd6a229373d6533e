// SPDX-License-Identifier: GPL-2.0-only
/*
 * Block requests: from the virtqueue to the RAM disk and back.
 */
#include <linux/blkdev.h>
#include <linux/uio.h>
#include <linux/virtio_blk.h>

#include "pykit_vhost.h"

/**
 * struct vhost_req - a request that was taken from a queue
 * @head: head of its descriptor chain
 * @out: what the driver has for the device
 * @in: what the device has for the driver, without the status byte
 * @type: request type
 * @sector: first sector
 */
struct vhost_req {
	unsigned int head;
	struct iov_iter out;
	struct iov_iter in;
	u32 type;
	u64 sector;
};

/* Memory of a range of sectors, NULL if it is not on the disk. */
static u8 *disk_range(struct pykit_vhost *v, u64 sector, u64 bytes)
{
	u64 sectors = v->bytes >> SECTOR_SHIFT;

	if (sector > sectors || bytes > (sectors - sector) << SECTOR_SHIFT ||
	    bytes & (SECTOR_SIZE - 1))
		return NULL;
	return v->disk + (sector << SECTOR_SHIFT);
}

static u8 serve_in(struct pykit_vhost *v, struct vhost_req *rq)
{
	size_t bytes = iov_iter_count(&rq->in);
	u8 *from = disk_range(v, rq->sector, bytes);

	if (!from || copy_to_iter(from, bytes, &rq->in) != bytes)
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 serve_out(struct pykit_vhost *v, struct vhost_req *rq)
{
	size_t bytes = iov_iter_count(&rq->out);
	u8 *to = disk_range(v, rq->sector, bytes);

	if (!to || !copy_from_iter_full(to, bytes, &rq->out))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 serve_ranges(struct pykit_vhost *v, struct vhost_req *rq, u32 allowed)
{
	struct virtio_blk_discard_write_zeroes range;
	u8 *to;

	if (!iov_iter_count(&rq->out))
		return VIRTIO_BLK_S_IOERR;
	while (iov_iter_count(&rq->out)) {
		u64 bytes;

		if (!copy_from_iter_full(&range, sizeof(range), &rq->out))
			return VIRTIO_BLK_S_IOERR;
		if (le32_to_cpu(range.flags) & ~allowed)
			return VIRTIO_BLK_S_UNSUPP;
		bytes = (u64)le32_to_cpu(range.num_sectors) << SECTOR_SHIFT;
		to = disk_range(v, le64_to_cpu(range.sector), bytes);
		if (!to)
			return VIRTIO_BLK_S_IOERR;
		memset(to, 0, bytes);
	}
	return VIRTIO_BLK_S_OK;
}

static u8 serve_get_id(struct vhost_req *rq)
{
	char id[VIRTIO_BLK_ID_BYTES] = PYKIT_VHOST_ID;

	if (iov_iter_count(&rq->in) < sizeof(id) ||
	    copy_to_iter(id, sizeof(id), &rq->in) != sizeof(id))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 serve_request(struct pykit_vhost *v, struct vhost_req *rq)
{
	switch (rq->type) {
	case VIRTIO_BLK_T_IN:
		return serve_in(v, rq);
	case VIRTIO_BLK_T_OUT:
		return serve_out(v, rq);
	case VIRTIO_BLK_T_FLUSH:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		return serve_get_id(rq);
	case VIRTIO_BLK_T_DISCARD:
		return serve_ranges(v, rq, 0);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return serve_ranges(v, rq, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/*
 * Split what vhost has collected into header, data and status byte. Their
 * framing is the driver's choice: the header is the first 16 bytes to be read,
 * the status the last one to be written.
 */
static int parse_request(struct vhost_virtqueue *vq, unsigned int out,
			 unsigned int in, struct vhost_req *rq,
			 struct iov_iter *status)
{
	size_t in_bytes = iov_length(vq->iov + out, in);
	struct virtio_blk_outhdr hdr;

	iov_iter_init(&rq->out, WRITE, vq->iov, out, iov_length(vq->iov, out));
	iov_iter_init(&rq->in, READ, vq->iov + out, in, in_bytes);
	if (!in_bytes || !copy_from_iter_full(&hdr, sizeof(hdr), &rq->out))
		return -EINVAL;
	*status = rq->in;
	iov_iter_advance(status, in_bytes - 1);
	iov_iter_truncate(&rq->in, in_bytes - 1);
	rq->type = vhost32_to_cpu(vq, hdr.type);
	rq->sector = vhost64_to_cpu(vq, hdr.sector);
	return 0;
}

/*
 * Serve one request and return it. What was written is counted from the first
 * byte on, so that a read that failed has written nothing but its status byte,
 * and that only counts if it comes first.
 */
static int serve_one(struct pykit_vhost *v, struct pykit_vhost_vq *q,
		     unsigned int out, unsigned int in, unsigned int head)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct vhost_req rq = { .head = head };
	struct pykit_blk_end end = { .head = head };
	struct iov_iter status;
	size_t left;

	if (parse_request(vq, out, in, &rq, &status))
		return -EINVAL;
	end.status = serve_request(v, &rq);
	left = iov_iter_count(&rq.in);
	end.len = iov_length(vq->iov + out, in) - 1 - left;
	if (copy_to_iter(&end.status, sizeof(end.status), &status) !=
	    sizeof(end.status))
		return -EFAULT;
	if (!left)
		end.len++;
	end.type = rq.type;
	end.sector = rq.sector;
	pykit_trace_vq(vhost_blk, &q->at, &end);

	if (vhost_add_used(vq, head, end.len))
		return -EFAULT;
	pykit_trace_vq(vhost_used, &q->at, head, end.len, vq->last_used_idx);
	return 0;
}

static void signal_driver(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	bool event_idx = vhost_has_feature(vq, VIRTIO_RING_F_EVENT_IDX);
	__virtio16 event = 0;

	if (trace_pykit_vhost_signal_enabled() &&
	    !get_user(event, event_idx ? (__virtio16 __user *)
					 &vq->avail->ring[vq->num] :
					 &vq->avail->flags))
		pykit_trace_vq(vhost_signal, &q->at, vq->signalled_used,
			       vq->last_used_idx, vhost16_to_cpu(vq, event),
			       event_idx);
	vhost_signal(&v->dev, vq);
}

static void disable_notify(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	vhost_disable_notify(&v->dev, &q->vq);
	pykit_trace_vq(vhost_notify, &q->at, q->vq.last_avail_idx, 0, 0);
}

/* Returns whether there is more to do already. */
static bool enable_notify(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	bool pending = vhost_enable_notify(&v->dev, &q->vq);

	pykit_trace_vq(vhost_notify, &q->at, q->vq.last_avail_idx, 1, pending);
	return pending;
}

static void serve_queue(struct pykit_vhost *v, struct pykit_vhost_vq *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	unsigned int out, in;
	int head, served = 0;
	size_t bytes = 0;
	u16 avail_idx;

	disable_notify(v, q);
	do {
		avail_idx = vq->last_avail_idx;
		head = vhost_get_vq_desc(vq, vq->iov, ARRAY_SIZE(vq->iov),
					 &out, &in, NULL, NULL);
		if (head < 0)
			break;
		if (head == vq->num) {
			if (served)
				signal_driver(v, q);
			served = 0;
			if (!enable_notify(v, q))
				return;
			disable_notify(v, q);
			continue;
		}
		pykit_trace_vq(vhost_get, &q->at, out, in, head, avail_idx);
		bytes += iov_length(vq->iov, out + in);
		if (serve_one(v, q, out, in, head)) {
			vq_err(vq, "cannot serve the chain at %d\n", head);
			break;
		}
		served++;
	} while (!vhost_exceeds_weight(vq, served, bytes));
	if (served)
		signal_driver(v, q);
}

/**
 * pykit_vhost_handle_kick() - the driver has made requests available
 * @work: the queue's work
 */
void pykit_vhost_handle_kick(struct vhost_work *work)
{
	struct vhost_virtqueue *vq = container_of(work, struct vhost_virtqueue,
						  poll.work);
	struct pykit_vhost_vq *q = container_of(vq, struct pykit_vhost_vq, vq);
	struct pykit_vhost *v;

	mutex_lock(&vq->mutex);
	v = vhost_vq_get_backend(vq);
	if (v)
		serve_queue(v, q);
	mutex_unlock(&vq->mutex);
}
