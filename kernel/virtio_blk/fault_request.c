// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of the driver's own: to be damaged, or wrong as they are. What the device
 * answers to the latter does not matter: it may refuse them.
 */
#include <linux/slab.h>

#include "ring.h"

#define BEYOND		BIT_ULL(40)
#define RANGE_BYTES	sizeof(struct virtio_blk_discard_write_zeroes)
/* More than any device takes in one range. */
#define LONG_RANGE	0x7fffffff

static const struct pykit_blk_fault_request get_id = {
	.type = VIRTIO_BLK_T_GET_ID, .bytes = VIRTIO_BLK_ID_BYTES,
};

const struct pykit_blk_fault_request pykit_blk_get_id_long = {
	.type = VIRTIO_BLK_T_GET_ID, .bytes = SECTOR_SIZE,
};

const struct pykit_blk_fault_request pykit_blk_flush_sector = {
	.type = VIRTIO_BLK_T_FLUSH, .sector = 8,
};

const struct pykit_blk_fault_request pykit_blk_flush_data = {
	.type = VIRTIO_BLK_T_FLUSH, .bytes = SECTOR_SIZE, .write = true,
};

const struct pykit_blk_fault_request pykit_blk_write_odd = {
	.type = VIRTIO_BLK_T_OUT, .bytes = SECTOR_SIZE - 12, .write = true,
};

const struct pykit_blk_fault_request pykit_blk_write_beyond = {
	.type = VIRTIO_BLK_T_OUT, .sector = BEYOND, .bytes = SECTOR_SIZE, .write = true,
};

const struct pykit_blk_fault_request pykit_blk_write_wraps = {
	.type = VIRTIO_BLK_T_OUT, .sector = U64_MAX, .bytes = SECTOR_SIZE, .write = true,
};

const struct pykit_blk_fault_request pykit_blk_type_undefined = {
	.type = 99,
};

const struct pykit_blk_fault_request pykit_blk_type_not_negotiated = {
	.type = VIRTIO_BLK_T_SECURE_ERASE, .bytes = RANGE_BYTES, .write = true,
	.segments = 1, .ranges = { { .sectors = 8 } },
};

const struct pykit_blk_fault_request pykit_blk_discard_unmap = {
	.type = VIRTIO_BLK_T_DISCARD, .bytes = RANGE_BYTES, .write = true,
	.segments = 1,
	.ranges = { { .sectors = 8, .flags = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP } },
};

const struct pykit_blk_fault_request pykit_blk_discard_odd = {
	.type = VIRTIO_BLK_T_DISCARD, .bytes = RANGE_BYTES + 8, .write = true,
	.segments = 1, .ranges = { { .sectors = 8 } },
};

const struct pykit_blk_fault_request pykit_blk_discard_many = {
	.type = VIRTIO_BLK_T_DISCARD, .bytes = 2 * RANGE_BYTES, .write = true,
	.segments = 2, .ranges = { { .sectors = 8 }, { .sector = 8, .sectors = 8 } },
};

const struct pykit_blk_fault_request pykit_blk_discard_beyond = {
	.type = VIRTIO_BLK_T_DISCARD, .bytes = RANGE_BYTES, .write = true,
	.segments = 1, .ranges = { { .sector = BEYOND, .sectors = 8 } },
};

const struct pykit_blk_fault_request pykit_blk_discard_wraps = {
	.type = VIRTIO_BLK_T_DISCARD, .bytes = RANGE_BYTES, .write = true,
	.segments = 1, .ranges = { { .sector = -4ULL, .sectors = 8 } },
};

const struct pykit_blk_fault_request pykit_blk_zeroes_many = {
	.type = VIRTIO_BLK_T_WRITE_ZEROES, .bytes = 2 * RANGE_BYTES, .write = true,
	.segments = 2, .ranges = { { .sectors = 8 }, { .sector = 8, .sectors = 8 } },
};

const struct pykit_blk_fault_request pykit_blk_zeroes_long = {
	.type = VIRTIO_BLK_T_WRITE_ZEROES, .bytes = RANGE_BYTES, .write = true,
	.segments = 1, .ranges = { { .sectors = LONG_RANGE } },
};

static struct pykit_blk_req *pykit_blk_alloc_request(struct pykit_blk_vq *q,
						     const struct pykit_blk_fault_request *want)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_blk_req *rq = kzalloc(struct_size(rq, sg, 1), GFP_KERNEL);

	if (!rq)
		return NULL;
	rq->hdr.type = cpu_to_virtio32(vdev, want->type);
	rq->hdr.sector = cpu_to_virtio64(vdev, want->sector);
	rq->in_len = sizeof(rq->status);
	rq->done = &q->fault.done;
	return rq;
}

static void pykit_blk_fill_ranges(void *data, const struct pykit_blk_fault_request *want)
{
	struct virtio_blk_discard_write_zeroes *ranges = data;
	u16 i;

	for (i = 0; i < want->segments; i++) {
		ranges[i].sector = cpu_to_le64(want->ranges[i].sector);
		ranges[i].num_sectors = cpu_to_le32(want->ranges[i].sectors);
		ranges[i].flags = cpu_to_le32(want->ranges[i].flags);
	}
}

static int pykit_blk_add_request(struct pykit_blk_vq *q,
				 const struct pykit_blk_fault_request *want,
				 struct pykit_blk_req *token, bool armed)
{
	struct pykit_blk_req *rq = q->fault.rqs[0];
	struct pykit_blk_data data = {
		.sgl = want->bytes ? rq->sg : NULL,
		.bytes = want->bytes,
		.write = want->write,
		.ranges = q->fault.data,
		.segments = want->segments,
	};
	int err;

	sg_init_one(rq->sg, q->fault.data, want->bytes ?: 1);
	spin_lock_irq(&q->lock);
	q->fault.armed = armed;
	err = pykit_blk_add(q, rq, &data, token);
	q->fault.armed = false;
	spin_unlock_irq(&q->lock);
	return err;
}

/**
 * pykit_blk_fault_send() - make a request of the driver's own available
 * @q: the queue, which the device does not use yet
 * @fault: what is wrong with it
 *
 * Return: 0 or an error.
 */
int pykit_blk_fault_send(struct pykit_blk_vq *q, const struct pykit_blk_fault *fault)
{
	const struct pykit_blk_fault_request *want = fault->request ?: &get_id;
	bool damaged = fault->damage;
	int err;

	q->fault.data = kzalloc(SECTOR_SIZE, GFP_KERNEL);
	q->fault.rqs[0] = pykit_blk_alloc_request(q, want);
	if (!q->fault.data || !q->fault.rqs[0])
		return -ENOMEM;
	pykit_blk_fill_ranges(q->fault.data, want);
	err = pykit_blk_add_request(q, want, q->fault.rqs[0], damaged && !fault->twice);
	if (err || !fault->twice)
		return err;

	/* The same buffers once more, as a head that is used again says. */
	q->fault.rqs[1] = pykit_blk_alloc_request(q, want);
	if (!q->fault.rqs[1])
		return -ENOMEM;
	return pykit_blk_add_request(q, want, q->fault.rqs[1], damaged);
}

/**
 * pykit_blk_fault_detach() - take a request back that the device may still use
 * @q: the queue
 *
 * The device does not look, as it is not notified of the request.
 */
void pykit_blk_fault_detach(struct pykit_blk_vq *q)
{
	static const struct pykit_blk_fault fault;

	if (!pykit_blk_fault_send(q, &fault))
		pykit_blk_ring_empty(q, q->vq);
}

/**
 * pykit_blk_fault_free() - give back what the driver's own requests took
 * @q: the queue; none of them is under way
 */
void pykit_blk_fault_free(struct pykit_blk_vq *q)
{
	kfree(q->fault.rqs[0]);
	kfree(q->fault.rqs[1]);
	kfree(q->fault.data);
	q->fault.rqs[0] = NULL;
	q->fault.rqs[1] = NULL;
	q->fault.data = NULL;
}
