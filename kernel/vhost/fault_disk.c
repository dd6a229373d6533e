// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deliberate bugs of the disk: what it offers, and how it does requests.
 */
#include "fault.h"

/* What is no status, and bits that are no features of disks. */
#define NO_STATUS		0x7f
#define NET_FEATURE		3
#define RESERVED_FEATURE	45

/* More segments than a chain can have. */
#define MANY_SEGMENTS		0x10000

/**
 * pykit_vhost_fault_features() - offer something else
 * @features: what should be offered
 *
 * Return: what is.
 */
u64 pykit_vhost_fault_features(u64 features)
{
	switch (pykit_vhost_fault) {
	case FEATURE_OF_OTHER_TYPE:
		return features | BIT_ULL(NET_FEATURE);
	case FEATURE_RESERVED:
		return features | BIT_ULL(RESERVED_FEATURE);
	case FLUSH_NOT_OFFERED:
		return features & ~BIT_ULL(VIRTIO_BLK_F_FLUSH);
	case CACHE_CONTROL_ALONE:
		return (features & ~BIT_ULL(VIRTIO_BLK_F_FLUSH)) |
		       BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE);
	default:
		return features;
	}
}

/**
 * pykit_vhost_fault_config() - go wrong in the configuration
 * @config: the configuration
 */
void pykit_vhost_fault_config(struct virtio_blk_config *config)
{
	switch (pykit_vhost_fault) {
	case PADDING_SET:
		config->unused = 1;
		break;
	case SEGMENTS_TOO_MANY:
		config->seg_max = __cpu_to_virtio32(true, MANY_SEGMENTS);
		break;
	default:
		break;
	}
}

/* Whether a request is the first one that the fault could be made with. */
static bool pykit_vhost_first(struct pykit_vhost_vq *q)
{
	return !q->fault.count++;
}

/**
 * pykit_vhost_fault_serve() - do a request wrongly, or not at all
 * @q: the queue, locked
 * @rq: the request
 * @status: what came of it
 *
 * The first one only: users compare the data of later ones.
 *
 * Return: whether it was done so.
 */
bool pykit_vhost_fault_serve(struct pykit_vhost_vq *q, struct pykit_request *rq, u8 *status)
{
	u32 type;

	switch (pykit_vhost_fault) {
	case DATA_UNWRITTEN:
	case FAILED_LENGTH:
		type = VIRTIO_BLK_T_IN;
		break;
	case FLUSH_UNSUPPORTED:
		type = VIRTIO_BLK_T_FLUSH;
		break;
	case DISCARD_UNSUPPORTED:
		type = VIRTIO_BLK_T_DISCARD;
		break;
	default:
		return false;
	}
	if (rq->type != type || !pykit_vhost_first(q))
		return false;
	if (type == VIRTIO_BLK_T_IN)
		iov_iter_advance(&rq->in, iov_iter_count(&rq->in));
	if (pykit_vhost_fault == FAILED_LENGTH)
		*status = VIRTIO_BLK_S_IOERR;
	else if (pykit_vhost_fault == DATA_UNWRITTEN)
		*status = VIRTIO_BLK_S_OK;
	else
		*status = VIRTIO_BLK_S_UNSUPP;
	return true;
}

/**
 * pykit_vhost_fault_status() - forget a status byte, or write another one
 * @q: the queue, locked
 * @rq: the request
 * @status: what should be written, and what is
 *
 * Return: whether not to write it.
 */
bool pykit_vhost_fault_status(struct pykit_vhost_vq *q, const struct pykit_request *rq, u8 *status)
{
	if (pykit_vhost_fault == STATUS_LATE && pykit_vhost_due(q)) {
		q->fault.late = rq->status;
		return true;
	}
	if (pykit_vhost_fault == STATUS_UNDEFINED && pykit_vhost_due(q))
		*status = NO_STATUS;
	return pykit_vhost_fault == STATUS_WITHHELD && pykit_vhost_due(q);
}
