// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device wrote to a request's buffers, for the events of it.
 *
 * While the event blk_wrote is enabled, what the device is to write is marked before
 * it is made available, and so are the bytes behind the status.
 */
#include <linux/crc32.h>
#include <linux/random.h>
#include <linux/scatterlist.h>

#include "../compat/zoned.h"
#include "pykit_blk.h"

/* Zones of a report for which there are events. */
#define MAX_ZONES	256

/**
 * pykit_blk_mark() - mark what the device is to write
 * @rq: the request
 * @data: its data
 */
void pykit_blk_mark(struct pykit_blk_req *rq, const struct pykit_blk_data *data)
{
	struct pykit_piece piece = { };
	struct sg_mapping_iter iter;
	u64 first = 0;
	size_t bytes;
	u8 *behind = pykit_blk_behind(rq, &bytes);

	rq->mark = get_random_u64() | 1;
	rq->sent = rq->hdr;
	memset(behind, PYKIT_BLK_BEHIND, bytes);
	if (!data->sgl || data->write)
		return;
	sg_miter_start(&iter, data->sgl, sg_nents(data->sgl), SG_MITER_ATOMIC | SG_MITER_TO_SG);
	for (; sg_miter_next(&iter); first += iter.length) {
		while (pykit_next_piece(first, first + iter.length, data->bytes, &piece)) {
			u64 mark = pykit_mark_at(rq->mark, piece.end);

			if (piece.whole)
				memcpy(iter.addr + (piece.end - sizeof(mark) - first), &mark,
				       sizeof(mark));
		}
	}
	sg_miter_stop(&iter);
}

/* Goes through the data of a write. */
static void pykit_blk_follow(struct pykit_blk_vq *q, struct pykit_blk_req *rq,
			     struct scatterlist *sgl, enum pykit_data_step step)
{
	struct pykit_data_walk walk = {
		.data = q->data,
		.step = step,
		.began = rq->began,
		.sector = virtio64_to_cpu(q->vq->vdev, rq->hdr.sector),
	};
	struct sg_mapping_iter iter;

	sg_miter_start(&iter, sgl, sg_nents(sgl), SG_MITER_ATOMIC | SG_MITER_FROM_SG);
	while (sg_miter_next(&iter))
		pykit_data_go_on(&walk, iter.addr, iter.length);
	sg_miter_stop(&iter);
}

/**
 * pykit_blk_note_change() - note what a request changes on the disk
 * @q: its queue, locked, of a disk that is followed
 * @rq: the request, about to be made available
 * @data: its data
 */
void pykit_blk_note_change(struct pykit_blk_vq *q, struct pykit_blk_req *rq,
			   const struct pykit_blk_data *data)
{
	struct virtio_device *vdev = q->vq->vdev;
	u16 i;

	rq->began = pykit_data_now(q->data);
	rq->written = 0;
	switch (virtio32_to_cpu(vdev, rq->hdr.type)) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
	case VIRTIO_BLK_T_GET_LIFETIME:
		return;
	case VIRTIO_BLK_T_OUT:
		rq->written = data->bytes >> SECTOR_SHIFT;
		rq->began = pykit_data_write(q->data, virtio64_to_cpu(vdev, rq->hdr.sector),
					     rq->written);
		if (data->sgl)
			pykit_blk_follow(q, rq, data->sgl, PYKIT_DATA_BEGINS);
		return;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
	case VIRTIO_BLK_T_SECURE_ERASE:
		for (i = 0; i < data->segments; i++)
			pykit_data_spoil(q->data, le64_to_cpu(data->ranges[i].sector),
					 le32_to_cpu(data->ranges[i].num_sectors));
		return;
	default:
		/* What it changes is not looked at. */
		pykit_data_forget(q->data);
	}
}

/**
 * pykit_blk_note_end() - a request is under way no more
 * @q: its queue, locked, of a disk that is followed
 * @rq: the request
 */
void pykit_blk_note_end(struct pykit_blk_vq *q, struct pykit_blk_req *rq)
{
	pykit_data_end(q->data, virtio64_to_cpu(q->vq->vdev, rq->hdr.sector), rq->written);
	rq->written = 0;
}

/* Which pieces of the data have lost their mark, and what the data is. */
static void pykit_blk_read_data(struct pykit_blk_vq *q, struct pykit_blk_req *rq, bool sum,
				struct pykit_blk_wrote *wrote)
{
	struct pykit_data_walk walk = {
		.data = q->data,
		.step = PYKIT_DATA_READ,
		.began = rq->began,
		.sector = virtio64_to_cpu(q->vq->vdev, rq->hdr.sector),
		.wrote = wrote,
	};
	bool compares = walk.data && wrote->type == VIRTIO_BLK_T_IN;
	struct pykit_piece piece = { };
	struct sg_mapping_iter iter;
	bool kept = false;
	u64 first = 0;

	wrote->zero = true;
	sg_miter_start(&iter, rq->sgt.sgl, sg_nents(rq->sgt.sgl),
		       SG_MITER_ATOMIC | SG_MITER_FROM_SG);
	for (; sg_miter_next(&iter); first += iter.length) {
		while (pykit_next_piece(first, first + iter.length, wrote->bytes, &piece)) {
			u64 mark = pykit_mark_at(rq->mark, piece.end);

			if (piece.whole &&
			    !memcmp(iter.addr + (piece.end - sizeof(mark) - first), &mark,
				    sizeof(mark))) {
				kept = true;
				continue;
			}
			if (!kept)
				wrote->written = piece.end;
			if (piece.whole)
				wrote->touched = piece.end;
		}
		if (wrote->zero)
			wrote->zero = !memchr_inv(iter.addr, 0, iter.length);
		if (sum)
			wrote->sum = crc32_le(wrote->sum, iter.addr, iter.length);
		if (compares)
			pykit_data_go_on(&walk, iter.addr, iter.length);
	}
	sg_miter_stop(&iter);
}

static void pykit_blk_trace_wrote(struct pykit_blk_vq *q, struct pykit_blk_req *rq, u32 type)
{
	struct request *req = blk_mq_rq_from_pdu(rq);
	struct pykit_blk_wrote wrote = {
		.type = type,
		.head = rq->head,
		.header = !memcmp(&rq->sent, &rq->hdr, sizeof(rq->hdr)),
	};
	size_t bytes;
	const u8 *behind = pykit_blk_behind(rq, &bytes);

	wrote.behind = memchr_inv(behind, PYKIT_BLK_BEHIND, bytes) ? 2 : 1;

	if (rq->sgt.nents && !op_is_write(req_op(req))) {
		wrote.bytes = blk_rq_payload_bytes(req);
		pykit_blk_read_data(q, rq, virtio_has_feature(q->vq->vdev, VIRTIO_BLK_F_RO),
				    &wrote);
	}
	pykit_trace_vq(blk_wrote, &q->ring.vqid, &wrote);
	if (rq->written && *pykit_blk_status(rq) == VIRTIO_BLK_S_OK)
		pykit_blk_follow(q, rq, rq->sgt.sgl, PYKIT_DATA_WRITTEN);
	if (rq->written)
		pykit_blk_note_end(q, rq);
}

static size_t pykit_blk_read_answer(struct pykit_blk_req *rq, void *to, size_t bytes, off_t skip)
{
	struct scatterlist *sgl = rq->sgt.sgl;

	return rq->sgt.nents ? sg_pcopy_to_buffer(sgl, sg_nents(sgl), to, bytes, skip) : 0;
}

static void pykit_blk_trace_zones(struct pykit_blk_vq *q, struct pykit_blk_req *rq, u64 count)
{
	size_t skip = sizeof(struct virtio_blk_zone_report);
	struct virtio_device *vdev = q->vq->vdev;
	struct virtio_blk_zone_descriptor desc;
	struct pykit_blk_zone zone = { .head = rq->head };

	for (; zone.pos < min_t(u64, count, MAX_ZONES); zone.pos++, skip += sizeof(desc)) {
		if (pykit_blk_read_answer(rq, &desc, sizeof(desc), skip) < sizeof(desc))
			break;
		zone.start = virtio64_to_cpu(vdev, desc.z_start);
		zone.capacity = virtio64_to_cpu(vdev, desc.z_cap);
		zone.wp = virtio64_to_cpu(vdev, desc.z_wp);
		zone.type = desc.z_type;
		zone.state = desc.z_state;
		pykit_trace_vq(blk_zone, &q->ring.vqid, &zone);
	}
}

/**
 * pykit_blk_trace_answer() - trace what the device wrote to a request's buffers
 * @q: the queue, locked
 * @rq: the request: the device has used it, and nothing of it was given back
 */
void pykit_blk_trace_answer(struct pykit_blk_vq *q, struct pykit_blk_req *rq)
{
	struct pykit_blk_answer answer = {
		.type = virtio32_to_cpu(q->vq->vdev, rq->hdr.type),
		.head = rq->head,
	};

	if (rq->mark && trace_pykit_blk_wrote_enabled())
		pykit_blk_trace_wrote(q, rq, answer.type);
	if (*pykit_blk_status(rq) != VIRTIO_BLK_S_OK)
		return;
	switch (answer.type) {
	case VIRTIO_BLK_T_GET_ID:
	case VIRTIO_BLK_T_GET_LIFETIME:
		answer.bytes = pykit_blk_read_answer(rq, answer.value, sizeof(answer.value), 0);
		break;
	case VIRTIO_BLK_T_ZONE_REPORT:
		answer.bytes = pykit_blk_read_answer(rq, answer.value,
						     sizeof(answer.value[0]), 0);
		break;
	case VIRTIO_BLK_T_ZONE_APPEND:
		memcpy(answer.value, &rq->append.sector, sizeof(rq->append.sector));
		answer.bytes = sizeof(rq->append.sector);
		break;
	default:
		return;
	}
	pykit_trace_vq(blk_answer, &q->ring.vqid, &answer);
	if (answer.type == VIRTIO_BLK_T_ZONE_REPORT && trace_pykit_blk_zone_enabled())
		pykit_blk_trace_zones(q, rq, le64_to_cpu(answer.value[0]));
}
