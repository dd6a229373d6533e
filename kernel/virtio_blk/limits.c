// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits of the device, for the block layer.
 */
#include <linux/blkdev.h>
#include <linux/log2.h>

#include "../compat/blk.h"
#include "zoned.h"

/* No request carries more ranges than this. */
#define MAX_RANGES	256u

static int pykit_blk_read_block_sizes(struct virtio_device *vdev,
				      struct pykit_blk_limits *lim)
{
	u8 exponent = 0, alignment = 0;
	u16 io_min = 0;
	u32 io_opt = 0;

	lim->block_size = SECTOR_SIZE;
	virtio_cread_feature(vdev, VIRTIO_BLK_F_BLK_SIZE,
			     struct virtio_blk_config, blk_size,
			     &lim->block_size);
	if (lim->block_size < SECTOR_SIZE || !is_power_of_2(lim->block_size)) {
		dev_err(&vdev->dev, "invalid block size %u\n", lim->block_size);
		return -EINVAL;
	}

	lim->physical_block_size = lim->block_size;
	if (!virtio_has_feature(vdev, VIRTIO_BLK_F_TOPOLOGY))
		return 0;
	virtio_cread(vdev, struct virtio_blk_config, physical_block_exp,
		     &exponent);
	virtio_cread(vdev, struct virtio_blk_config, alignment_offset,
		     &alignment);
	virtio_cread(vdev, struct virtio_blk_config, min_io_size, &io_min);
	virtio_cread(vdev, struct virtio_blk_config, opt_io_size, &io_opt);
	if (exponent < 32 - ilog2(lim->block_size))
		lim->physical_block_size = lim->block_size << exponent;
	lim->alignment_offset = lim->block_size * alignment;
	lim->io_min = lim->block_size * io_min;
	if (io_opt <= U32_MAX / lim->block_size)
		lim->io_opt = lim->block_size * io_opt;
	return 0;
}

/*
 * The block layer has one number of ranges and one granularity for discard and
 * secure erase: both may ask for what either takes.
 */
static int pykit_blk_read_erase(struct virtio_device *vdev, struct pykit_blk_limits *lim)
{
	u32 segments, alignment;

	if (!virtio_has_feature(vdev, VIRTIO_BLK_F_SECURE_ERASE))
		return 0;
	virtio_cread(vdev, struct virtio_blk_config,
		     max_secure_erase_sectors, &lim->erase_sectors);
	virtio_cread(vdev, struct virtio_blk_config,
		     max_secure_erase_seg, &segments);
	virtio_cread(vdev, struct virtio_blk_config,
		     secure_erase_sector_alignment, &alignment);
	if (!lim->erase_sectors || !segments || !alignment) {
		dev_err(&vdev->dev, "invalid secure erase: %u sectors, %u segments, alignment %u\n",
			lim->erase_sectors, segments, alignment);
		return -EINVAL;
	}
	segments = min(segments, MAX_RANGES);
	lim->discard_segments = min_not_zero(lim->discard_segments, segments);
	if (alignment <= U32_MAX >> SECTOR_SHIFT)
		lim->discard_granularity = min_not_zero(lim->discard_granularity,
							alignment << SECTOR_SHIFT);
	return 0;
}

static void pykit_blk_read_discard(struct virtio_device *vdev, struct pykit_blk_limits *lim)
{
	u32 sectors, segments, granularity;

	if (virtio_has_feature(vdev, VIRTIO_BLK_F_DISCARD)) {
		virtio_cread(vdev, struct virtio_blk_config,
			     max_discard_sectors, &sectors);
		virtio_cread(vdev, struct virtio_blk_config,
			     max_discard_seg, &segments);
		virtio_cread(vdev, struct virtio_blk_config,
			     discard_sector_alignment, &granularity);
		/* A device that takes no range at all takes no request. */
		lim->discard_sectors = segments ? (sectors ?: UINT_MAX) : 0;
		lim->discard_segments = clamp(segments, 1u, MAX_RANGES);
		lim->discard_granularity = lim->block_size;
		if (granularity && granularity <= U32_MAX >> SECTOR_SHIFT)
			lim->discard_granularity = granularity << SECTOR_SHIFT;
	}
	if (virtio_has_feature(vdev, VIRTIO_BLK_F_WRITE_ZEROES)) {
		virtio_cread(vdev, struct virtio_blk_config,
			     max_write_zeroes_sectors, &sectors);
		virtio_cread(vdev, struct virtio_blk_config,
			     max_write_zeroes_seg, &segments);
		/* The block layer's requests are of one range each. */
		lim->zeroes_sectors = segments ? (sectors ?: UINT_MAX) : 0;
	}
}

/**
 * pykit_blk_look_at() - read what no use is made of, so that there are events of it
 * @vdev: the device
 * @offset: where it is in the configuration space
 * @bytes: its length, at most 4
 */
void pykit_blk_look_at(struct virtio_device *vdev, unsigned int offset, unsigned int bytes)
{
	u8 unused[4];

	virtio_cread_bytes(vdev, offset, unused, bytes);
}

/**
 * pykit_blk_look_around() - read padding, and whether writing zeroes may unmap
 * @vdev: the device
 *
 * A configuration space may end behind the last field that a feature brings: padding
 * is only read where there is a field behind it.
 */
void pykit_blk_look_around(struct virtio_device *vdev)
{
	if (virtio_has_feature(vdev, VIRTIO_BLK_F_MQ))
		pykit_blk_look_at(vdev, offsetof(struct virtio_blk_config, unused), 1);
	if (virtio_has_feature(vdev, VIRTIO_BLK_F_WRITE_ZEROES))
		pykit_blk_look_at(vdev, offsetof(struct virtio_blk_config,
						 write_zeroes_may_unmap), 1);
	if (virtio_has_feature(vdev, VIRTIO_BLK_F_SECURE_ERASE))
		pykit_blk_look_at(vdev, offsetof(struct virtio_blk_config, unused1),
				  sizeof_field(struct virtio_blk_config, unused1));
}

/**
 * pykit_blk_read_limits() - read what a device can take
 * @dev: the device; its queues are set up
 * @lim: where to say it
 *
 * Return: 0, or an error if the device says what cannot be.
 */
int pykit_blk_read_limits(struct pykit_blk_dev *dev,
			  struct pykit_blk_limits *lim)
{
	struct virtio_device *vdev = dev->vdev;
	unsigned int size = dev->vqs[0].ring.size;
	u32 value;
	int err;

	memset(lim, 0, sizeof(*lim));

	/* No chain may be longer than the queue; header and status are in it. */
	lim->max_segments = size > 3 ? size - 2 : 1;
	if (virtio_has_feature(vdev, VIRTIO_BLK_F_SEG_MAX)) {
		virtio_cread(vdev, struct virtio_blk_config, seg_max, &value);
		lim->max_segments = clamp(value, 1u, lim->max_segments);
	} else {
		lim->max_segments = 1;
	}

	lim->max_segment_size = min_t(size_t, virtio_max_dma_size(vdev), U32_MAX);
	if (virtio_has_feature(vdev, VIRTIO_BLK_F_SIZE_MAX)) {
		virtio_cread(vdev, struct virtio_blk_config, size_max, &value);
		lim->max_segment_size = min(lim->max_segment_size, value);
	}

	err = pykit_blk_read_block_sizes(vdev, lim);
	if (err)
		return err;
	pykit_blk_read_discard(vdev, lim);
	err = pykit_blk_read_erase(vdev, lim);
	if (err)
		return err;
	lim->write_cache = pykit_blk_write_cache(vdev);
	pykit_blk_look_around(vdev);
	return pykit_blk_read_zones(vdev, lim);
}

/**
 * pykit_blk_write_cache() - whether a device has a volatile write cache
 * @vdev: the device
 *
 * Return: whether it needs flushes, which only a device with FLUSH takes.
 */
bool pykit_blk_write_cache(struct virtio_device *vdev)
{
	u8 writeback = 1;

	virtio_cread_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE,
			     struct virtio_blk_config, wce, &writeback);
	return writeback && virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH);
}

/**
 * pykit_blk_alloc_disk() - make the disk of a device
 * @dev: the device; its tag set is allocated
 * @lim: what it can take
 *
 * Return: the disk or an error pointer.
 */
struct gendisk *pykit_blk_alloc_disk(struct pykit_blk_dev *dev,
				     const struct pykit_blk_limits *lim)
{
	struct queue_limits limits = {
		.logical_block_size	= lim->block_size,
		.physical_block_size	= lim->physical_block_size,
		.alignment_offset	= lim->alignment_offset,
		.io_min			= lim->io_min,
		.io_opt			= lim->io_opt,
		.max_segments		= lim->max_segments,
		.max_segment_size	= lim->max_segment_size,
		.max_hw_sectors		= UINT_MAX,
		.max_hw_discard_sectors	= lim->discard_sectors,
		.max_discard_segments	= lim->discard_segments,
		.discard_granularity	= lim->discard_granularity,
		.max_write_zeroes_sectors = lim->zeroes_sectors,
		.max_secure_erase_sectors = lim->erase_sectors,
	};

	if (lim->zone_sectors)
		compat_limit_zones(&limits, lim->zone_sectors, lim->max_open_zones,
				   lim->max_active_zones, lim->max_append_sectors,
				   lim->write_granularity);
	return compat_alloc_disk(&dev->tag_set, &limits, lim->write_cache, dev);
}

/**
 * pykit_blk_set_write_cache() - declare a write cache to the block layer
 * @disk: the disk
 * @enable: whether there is one
 *
 * Return: 0 or an error.
 */
int pykit_blk_set_write_cache(struct gendisk *disk, bool enable)
{
	return compat_set_write_cache(disk->queue, enable);
}
