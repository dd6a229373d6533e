// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk in software, for what other disks do not offer: zones, secure erase,
 * lifetime, and requests that are never answered.
 *
 * It is what a driver is tested with; it believes what the driver says, and looks
 * at no more than it needs to answer.
 */
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "disk.h"

#define DISK_RING		64

/* Described in version 1.1, and not in the kernel's headers. */
#define F_LIFETIME		15
#define T_GET_LIFETIME		10

static bool disk;
module_param(disk, bool, 0444);
MODULE_PARM_DESC(disk, "Whether to make a disk");

static bool lax;
module_param(lax, bool, 0644);
MODULE_PARM_DESC(lax, "Fail what zones forbid with a status that is not theirs: a faulty disk");

static unsigned int drop_requests;
module_param(drop_requests, uint, 0644);
MODULE_PARM_DESC(drop_requests, "Drop the next N requests");

static struct soft_disk *the_disk;

/* Bytes to and from the buffers that a chain has for them, in order. */
static u32 soft_disk_copy(struct soft_chain *chain, unsigned int first, unsigned int count,
			  size_t skip, void *data, size_t len, bool write)
{
	unsigned int i;
	u32 done = 0;

	for (i = first; i < first + count && done < len; i++) {
		struct soft_buf *buf = &chain->bufs[i];
		size_t now;

		if (skip >= buf->len) {
			skip -= buf->len;
			continue;
		}
		now = min_t(size_t, buf->len - skip, len - done);
		if (write)
			memcpy(buf->addr + skip, data + done, now);
		else
			memcpy(data + done, buf->addr + skip, now);
		done += now;
		skip = 0;
	}
	return done;
}

/**
 * soft_disk_bytes() - add up the lengths of buffers
 * @chain: the chain they are in
 * @first: number of the first of them
 * @count: how many there are
 *
 * Return: bytes of all of them.
 */
u64 soft_disk_bytes(const struct soft_chain *chain, unsigned int first, unsigned int count)
{
	u64 sum = 0;
	unsigned int i;

	for (i = first; i < first + count; i++)
		sum += chain->bufs[i].len;
	return sum;
}

/**
 * soft_disk_answer() - write what the driver is to read
 * @chain: the request's chain
 * @at: offset in what the device may write
 * @data: what to write
 * @len: its length
 *
 * Return: for how much of it there was room.
 */
u32 soft_disk_answer(struct soft_chain *chain, size_t at, const void *data, size_t len)
{
	return soft_disk_copy(chain, chain->out, chain->in, at, (void *)data,
			      len, true);
}

/**
 * soft_disk_payload() - read what the driver wrote behind the header
 * @chain: the request's chain
 * @data: where it goes
 * @len: how much of it
 *
 * Return: how much there was.
 */
u32 soft_disk_payload(struct soft_chain *chain, void *data, size_t len)
{
	return soft_disk_copy(chain, 0, chain->out, sizeof(struct virtio_blk_outhdr), data,
			      len, false);
}

static bool soft_disk_inside(u64 sector, u64 sectors)
{
	return sector <= DISK_SECTORS && sectors <= DISK_SECTORS - sector;
}

static u8 soft_disk_erase(struct soft_disk *d, struct soft_chain *chain, u64 len)
{
	struct virtio_blk_discard_write_zeroes ranges[16];
	unsigned int i, count = len / sizeof(ranges[0]);
	u8 status;

	if (!count || count > ARRAY_SIZE(ranges) || len % sizeof(ranges[0]))
		return VIRTIO_BLK_S_UNSUPP;
	soft_disk_payload(chain, ranges, len);
	for (i = 0; i < count; i++) {
		u64 sector = le64_to_cpu(ranges[i].sector);
		u32 sectors = le32_to_cpu(ranges[i].num_sectors);

		if (!soft_disk_inside(sector, sectors))
			return VIRTIO_BLK_S_IOERR;
		status = soft_disk_has_zones(d) ? soft_disk_erase_zones(d, sector, sectors) :
						  VIRTIO_BLK_S_OK;
		if (status)
			return status;
		memset(d->data + (sector << SECTOR_SHIFT), 0,
		       (u64)sectors << SECTOR_SHIFT);
	}
	return VIRTIO_BLK_S_OK;
}

static u8 soft_disk_serve_request(struct soft_disk *d, struct soft_chain *chain)
{
	static const char id[VIRTIO_BLK_ID_BYTES] = "pykit-soft";
	/* State of the reserve, then wear of two types of memory. */
	static const u8 lifetime[6] = { 1, 0, 3, 0, 5, 0 };
	u64 out = soft_disk_bytes(chain, 0, chain->out);
	u64 in = soft_disk_bytes(chain, chain->out, chain->in);
	struct virtio_blk_outhdr hdr;
	u64 sector, len;
	u32 type;
	u8 status;

	if (out < sizeof(hdr) || !in)
		return VIRTIO_BLK_S_IOERR;
	soft_disk_copy(chain, 0, chain->out, 0, &hdr, sizeof(hdr), false);
	type = __virtio32_to_cpu(true, hdr.type);
	sector = __virtio64_to_cpu(true, hdr.sector);
	len = type == VIRTIO_BLK_T_IN ? in - 1 : out - sizeof(hdr);
	switch (type) {
	case VIRTIO_BLK_T_FLUSH:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		soft_disk_answer(chain, 0, id, sizeof(id));
		return VIRTIO_BLK_S_OK;
	case T_GET_LIFETIME:
		soft_disk_answer(chain, 0, lifetime, sizeof(lifetime));
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_SECURE_ERASE:
		return soft_disk_erase(d, chain, len);
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		break;
	default:
		if (!soft_disk_has_zones(d) || sector >= DISK_SECTORS)
			return VIRTIO_BLK_S_UNSUPP;
		return soft_disk_zone_request(d, chain, type, sector);
	}
	if (!soft_disk_inside(sector, len >> SECTOR_SHIFT) || len % SECTOR_SIZE || !len)
		return VIRTIO_BLK_S_IOERR;
	status = soft_disk_may_access(d, sector, len >> SECTOR_SHIFT, type == VIRTIO_BLK_T_OUT);
	if (status)
		return status;
	if (type == VIRTIO_BLK_T_IN)
		soft_disk_answer(chain, 0, d->data + (sector << SECTOR_SHIFT), len);
	else
		soft_disk_payload(chain, d->data + (sector << SECTOR_SHIFT), len);
	return VIRTIO_BLK_S_OK;
}

static void soft_disk_serve_one(struct soft_disk *d, struct soft_vq *q,
				struct soft_chain *chain)
{
	u64 in = soft_disk_bytes(chain, chain->out, chain->in);
	unsigned int i;
	u8 status;

	if (drop_requests) {
		drop_requests--;
		return;
	}
	/* What it has no answer for it answers with zeroes. */
	for (i = chain->out; i < chain->out + chain->in; i++)
		memset(chain->bufs[i].addr, 0, chain->bufs[i].len);
	status = soft_disk_serve_request(d, chain);
	if (lax && status > VIRTIO_BLK_S_UNSUPP)
		status = VIRTIO_BLK_S_IOERR;
	/* The status is the last byte, wherever the data ends. */
	soft_disk_answer(chain, in - 1, &status, 1);
	soft_push(q, chain->id, status ? 1 : in, chain->slots);
}

static void soft_disk_serve_queue(struct soft_disk *d, struct soft_vq *q)
{
	static struct soft_chain chain;
	bool more;

	do {
		while (soft_pop(q, &chain))
			soft_disk_serve_one(d, q, &chain);
		/* Buffers made available before this write cause no notification. */
		soft_wants_notify(q, true);
		more = soft_pop(q, &chain);
		if (more)
			soft_disk_serve_one(d, q, &chain);
	} while (more);
	if (q->pushed && soft_wants_interrupt(q))
		vring_interrupt(0, q->vq);
}

static void soft_disk_work(struct work_struct *work)
{
	struct soft_disk *d = container_of(work, struct soft_disk, work);
	unsigned int i;

	mutex_lock(&d->lock);
	for (i = 0; i < d->soft.num_vqs; i++)
		if (d->soft.vqs[i].vq && d->soft.status & VIRTIO_CONFIG_S_DRIVER_OK)
			soft_disk_serve_queue(d, &d->soft.vqs[i]);
	mutex_unlock(&d->lock);
}

static void soft_disk_notify(struct soft_vq *q)
{
	struct soft_disk *d = container_of(q->dev, struct soft_disk, soft);

	schedule_work(&d->work);
}

/* The status is 0 already: after this nothing more is served. */
static void soft_disk_reset(struct soft_dev *dev)
{
	struct soft_disk *d = container_of(dev, struct soft_disk, soft);

	mutex_lock(&d->lock);
	mutex_unlock(&d->lock);
}

static void soft_disk_free_disk(struct soft_dev *dev)
{
	struct soft_disk *d = container_of(dev, struct soft_disk, soft);

	cancel_work_sync(&d->work);
	vfree(d->data);
	kfree(d);
}

/**
 * selftest_disk_init() - make the disk, if one is wanted
 * @parent: its parent
 *
 * Return: 0 or an error.
 */
int selftest_disk_init(struct device *parent)
{
	struct soft_disk *d;
	int err;

	if (!disk)
		return 0;
	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d)
		return -ENOMEM;
	d->data = vzalloc(DISK_SECTORS << SECTOR_SHIFT);
	if (!d->data) {
		kfree(d);
		return -ENOMEM;
	}
	mutex_init(&d->lock);
	INIT_WORK(&d->work, soft_disk_work);
	d->soft.features = BIT_ULL(VIRTIO_F_VERSION_1) |
			   BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
			   BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |
			   BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |
			   BIT_ULL(VIRTIO_BLK_F_FLUSH) |
			   BIT_ULL(VIRTIO_BLK_F_GEOMETRY) |
			   BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE) |
			   BIT_ULL(F_LIFETIME);
	d->soft.ring_size = DISK_RING;
	d->soft.num_vqs = 1;
	d->soft.config = &d->config;
	d->soft.config_len = sizeof(d->config);
	d->soft.notify = soft_disk_notify;
	d->soft.reset = soft_disk_reset;
	d->soft.free = soft_disk_free_disk;
	d->config.capacity = __cpu_to_virtio64(true, DISK_SECTORS);
	d->config.seg_max = __cpu_to_virtio32(true, DISK_RING - 2);
	d->config.geometry.cylinders = __cpu_to_virtio16(true, 7);
	d->config.geometry.heads = 5;
	d->config.geometry.sectors = 3;
	d->config.max_secure_erase_sectors =
		__cpu_to_virtio32(true, ZONE_SECTORS);
	d->config.max_secure_erase_seg = __cpu_to_virtio32(true, 1);
	d->config.secure_erase_sector_alignment = __cpu_to_virtio32(true, 8);
	if (soft_disk_zoned)
		soft_disk_init_zones(d);
	err = soft_register(&d->soft, parent, VIRTIO_ID_BLOCK);
	if (!err)
		the_disk = d;
	return err;
}

/**
 * selftest_disk_exit() - take the disk away
 */
void selftest_disk_exit(void)
{
	if (the_disk)
		soft_unregister(&the_disk->soft);
}
