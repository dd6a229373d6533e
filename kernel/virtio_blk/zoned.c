// SPDX-License-Identifier: GPL-2.0-only
/*
 * Zoned devices: their limits and the report of their zones.
 */
#include <linux/blkdev.h>
#include <linux/log2.h>
#include <linux/vmalloc.h>

#include "zoned.h"

#ifdef PYKIT_HAVE_ZONED

/**
 * pykit_blk_read_zones() - read what a zoned device can take
 * @vdev: the device
 * @lim: where to say it
 *
 * Return: 0, -EINVAL or -ENODEV if the device says what cannot be, -EOPNOTSUPP
 * if the kernel knows no zones.
 */
int pykit_blk_read_zones(struct virtio_device *vdev,
			 struct pykit_blk_limits *lim)
{
	u8 model;

	if (!virtio_has_feature(vdev, VIRTIO_BLK_F_ZONED))
		return 0;
	virtio_cread(vdev, struct virtio_blk_config, zoned.model, &model);
	switch (model) {
	case VIRTIO_BLK_Z_NONE:
	case VIRTIO_BLK_Z_HA:
		/* A host-aware device also works as one without zones. */
		return 0;
	case VIRTIO_BLK_Z_HM:
		break;
	default:
		dev_err(&vdev->dev, "invalid zone model %u\n", model);
		return -EINVAL;
	}
	if (!IS_ENABLED(CONFIG_BLK_DEV_ZONED)) {
		dev_err(&vdev->dev, "zoned device, but CONFIG_BLK_DEV_ZONED is not set\n");
		return -EOPNOTSUPP;
	}
	virtio_cread(vdev, struct virtio_blk_config, zoned.zone_sectors,
		     &lim->zone_sectors);
	virtio_cread(vdev, struct virtio_blk_config, zoned.max_open_zones,
		     &lim->max_open_zones);
	virtio_cread(vdev, struct virtio_blk_config, zoned.max_active_zones,
		     &lim->max_active_zones);
	virtio_cread(vdev, struct virtio_blk_config, zoned.max_append_sectors,
		     &lim->max_append_sectors);
	virtio_cread(vdev, struct virtio_blk_config, zoned.write_granularity,
		     &lim->write_granularity);
	pykit_blk_look_at(vdev, offsetof(struct virtio_blk_config, zoned.unused2),
			  sizeof_field(struct virtio_blk_config, zoned.unused2));
	/* The block layer takes no other size than a power of two. */
	if (!is_power_of_2(lim->zone_sectors)) {
		dev_err(&vdev->dev, "invalid zone size %u\n", lim->zone_sectors);
		return -ENODEV;
	}
	if (!lim->write_granularity ||
	    (u64)lim->max_append_sectors << SECTOR_SHIFT < lim->write_granularity) {
		dev_err(&vdev->dev, "invalid limits: %u sectors to append, %u bytes to write\n",
			lim->max_append_sectors, lim->write_granularity);
		return -ENODEV;
	}
	/* Sequential zones are reset, not discarded. */
	lim->discard_sectors = 0;
	lim->physical_block_size = lim->write_granularity;
	lim->io_min = lim->write_granularity;
	return 0;
}

#if IS_ENABLED(CONFIG_BLK_DEV_ZONED)
static const u8 zone_types[] = {
	[VIRTIO_BLK_ZT_CONV]	= BLK_ZONE_TYPE_CONVENTIONAL,
	[VIRTIO_BLK_ZT_SWR]	= BLK_ZONE_TYPE_SEQWRITE_REQ,
	[VIRTIO_BLK_ZT_SWP]	= BLK_ZONE_TYPE_SEQWRITE_PREF,
};

/* Both follow the standards of zoned disks; what is 0 there is "no pointer". */
static const u8 zone_conditions[] = {
	[VIRTIO_BLK_ZS_NOT_WP]	= BLK_ZONE_COND_NOT_WP,
	[VIRTIO_BLK_ZS_EMPTY]	= BLK_ZONE_COND_EMPTY,
	[VIRTIO_BLK_ZS_IOPEN]	= BLK_ZONE_COND_IMP_OPEN,
	[VIRTIO_BLK_ZS_EOPEN]	= BLK_ZONE_COND_EXP_OPEN,
	[VIRTIO_BLK_ZS_CLOSED]	= BLK_ZONE_COND_CLOSED,
	[VIRTIO_BLK_ZS_RDONLY]	= BLK_ZONE_COND_READONLY,
	[VIRTIO_BLK_ZS_FULL]	= BLK_ZONE_COND_FULL,
	[VIRTIO_BLK_ZS_OFFLINE]	= BLK_ZONE_COND_OFFLINE,
};

static int pykit_blk_read_zone(struct pykit_blk_dev *dev,
			       const struct virtio_blk_zone_descriptor *from,
			       struct blk_zone *to)
{
	struct virtio_device *vdev = dev->vdev;
	u64 capacity = get_capacity(dev->disk);

	*to = (struct blk_zone) {
		.start = virtio64_to_cpu(vdev, from->z_start),
		.capacity = virtio64_to_cpu(vdev, from->z_cap),
		.wp = virtio64_to_cpu(vdev, from->z_wp),
	};
	if (to->start >= capacity ||
	    from->z_type >= ARRAY_SIZE(zone_types) || !zone_types[from->z_type] ||
	    from->z_state >= ARRAY_SIZE(zone_conditions) ||
	    (!zone_conditions[from->z_state] &&
	     from->z_state != VIRTIO_BLK_ZS_NOT_WP)) {
		dev_err_ratelimited(&vdev->dev,
				    "invalid zone at %llu: type %u, state %u\n",
				    to->start, from->z_type, from->z_state);
		return -EIO;
	}
	to->type = zone_types[from->z_type];
	to->cond = zone_conditions[from->z_state];
	to->len = min_t(u64, dev->zone_sectors, capacity - to->start);
	switch (to->cond) {
	case BLK_ZONE_COND_FULL:
		to->wp = to->start + to->len;
		break;
	case BLK_ZONE_COND_READONLY:
	case BLK_ZONE_COND_OFFLINE:
		to->wp = ULONG_MAX;
		break;
	default:
		break;
	}
	return 0;
}

/* Room for a report of so many zones, or of fewer. */
static struct virtio_blk_zone_report *pykit_blk_alloc_report(struct pykit_blk_dev *dev,
							     unsigned int zones,
							     unsigned int *bytes)
{
	struct request_queue *queue = dev->disk->queue;
	struct virtio_blk_zone_report *report;
	size_t size;

	zones = min_t(u64, zones,
		      DIV_ROUND_UP_ULL(get_capacity(dev->disk), dev->zone_sectors));
	size = min3(struct_size(report, zones, zones),
		    (size_t)queue_max_hw_sectors(queue) << SECTOR_SHIFT,
		    (size_t)queue_max_segments(queue) << PAGE_SHIFT);
	for (; size >= struct_size(report, zones, 1); size /= 2) {
		report = __vmalloc(size, GFP_KERNEL | __GFP_NORETRY);
		if (report) {
			*bytes = size;
			return report;
		}
	}
	return NULL;
}

/* One request; returns how many zones are handed on after it, or an error. */
static int pykit_blk_report_some(struct pykit_blk_dev *dev, sector_t *sector,
				 unsigned int first, unsigned int wanted,
				 struct virtio_blk_zone_report *report, unsigned int bytes,
				 struct blk_report_zones_args *args)
{
	struct blk_zone zone;
	unsigned int n;
	u64 count;
	int err;

	memset(report, 0, bytes);
	err = pykit_blk_submit_drv_in(dev->disk, VIRTIO_BLK_T_ZONE_REPORT, *sector,
				      report, bytes);
	if (err)
		return err;
	/* The device may report more zones than the buffer has room for. */
	count = min3((u64)virtio64_to_cpu(dev->vdev, report->nr_zones),
		     (u64)(bytes - sizeof(*report)) / sizeof(report->zones[0]),
		     (u64)wanted - first);
	for (n = 0; n < count; n++) {
		err = pykit_blk_read_zone(dev, &report->zones[n], &zone);
		if (!err)
			err = compat_report_zone(dev->disk, &zone, first + n, args);
		if (err)
			return err;
		*sector = zone.start + zone.len;
	}
	return first + n;
}

static int pykit_blk_report_zones(struct gendisk *disk, sector_t sector,
				  unsigned int zones, struct blk_report_zones_args *args)
{
	struct pykit_blk_dev *dev = disk->private_data;
	struct virtio_blk_zone_report *report;
	unsigned int bytes;
	int done = 0, before;

	if (!dev->zone_sectors)
		return -EOPNOTSUPP;
	report = pykit_blk_alloc_report(dev, zones, &bytes);
	if (!report)
		return -ENOMEM;
	mutex_lock(&dev->vdev_lock);
	do {
		before = done;
		done = dev->vdev ? pykit_blk_report_some(dev, &sector, done, zones, report,
							 bytes, args) : -ENXIO;
	} while (done > before && done < zones && sector < get_capacity(disk));
	mutex_unlock(&dev->vdev_lock);
	kvfree(report);
	return done ?: -EINVAL;
}

COMPAT_REPORT_ZONES_OP(pykit_blk_report_zones)
#endif /* CONFIG_BLK_DEV_ZONED */
#endif /* PYKIT_HAVE_ZONED */
