/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Zoned block devices, as the newest kernel has them.
 *
 * Virtio has zones since 95bfec41bd3d ("virtio-blk: add support for zoned block devices"),
 * v6.3; the block layer takes their limits in one structure since b1fc937a55f5 ("block:
 * move the zoned flag into the features field"), v6.11. Kernels before drive no zones.
 */
#ifndef PYKIT_COMPAT_ZONED_H
#define PYKIT_COMPAT_ZONED_H

#include <linux/blkdev.h>
#include <linux/virtio_blk.h>

#define COMPAT_HAS_ZONES	__is_defined(PYKIT_HAVE_ZONED)

/* The numbers of section 5.2.6, for kernels whose uapi header lacks them. */
#ifndef VIRTIO_BLK_F_ZONED
#define VIRTIO_BLK_F_ZONED			17
#define VIRTIO_BLK_T_ZONE_APPEND		15
#define VIRTIO_BLK_T_ZONE_REPORT		16
#define VIRTIO_BLK_T_ZONE_OPEN			18
#define VIRTIO_BLK_T_ZONE_CLOSE			20
#define VIRTIO_BLK_T_ZONE_FINISH		22
#define VIRTIO_BLK_T_ZONE_RESET			24
#define VIRTIO_BLK_T_ZONE_RESET_ALL		26
#define VIRTIO_BLK_S_ZONE_OPEN_RESOURCE		5
#define VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE	6

struct virtio_blk_zone_descriptor {
	__virtio64 z_cap;
	__virtio64 z_start;
	__virtio64 z_wp;
	__u8 z_type;
	__u8 z_state;
	__u8 reserved[38];
};

struct virtio_blk_zone_report {
	__virtio64 nr_zones;
	__u8 reserved[56];
	struct virtio_blk_zone_descriptor zones[];
};
#endif

/* For a table of features: the comma is part of it. */
#ifdef PYKIT_HAVE_ZONED
#define COMPAT_ZONED_FEATURE	VIRTIO_BLK_F_ZONED,
#else
#define COMPAT_ZONED_FEATURE
#endif

#ifdef PYKIT_HAVE_ZONED
/*
 * What the hardware can append is a limit of its own: 559218d43ec9 ("block: pre-calculate
 * max_zone_append_sectors"), v6.13.
 */
static inline void compat_limit_zones(struct queue_limits *lim, u32 sectors, u32 max_open,
				      u32 max_active, u32 max_append, u32 granularity)
{
	lim->features |= BLK_FEAT_ZONED;
	lim->chunk_sectors = sectors;
	lim->max_open_zones = max_open;
	lim->max_active_zones = max_active;
	lim->zone_write_granularity = granularity;
#ifdef PYKIT_HAVE_HW_ZONE_APPEND
	lim->max_hw_zone_append_sectors = max_append;
#else
	lim->max_zone_append_sectors = max_append;
#endif
}

/* Without CONFIG_BLK_DEV_ZONED no disk has zones, and the block layer no such function. */
static inline int compat_revalidate_zones(struct gendisk *disk)
{
	return IS_ENABLED(CONFIG_BLK_DEV_ZONED) ? blk_revalidate_disk_zones(disk) : -EOPNOTSUPP;
}

/*
 * Zones are reported by disk_report_zone(): fdb9aed869f3 ("block: introduce
 * disk_report_zone()"), v6.19. COMPAT_REPORT_ZONES_OP(name) defines the operation name_op(),
 * which calls name(disk, sector, zones, args); @args are for compat_report_zone().
 */
#ifdef PYKIT_HAVE_REPORT_ZONES_ARGS
#define COMPAT_REPORT_ZONES_PARAMS	struct blk_report_zones_args *args

#define COMPAT_REPORT_ZONES_OP(name)					\
int name##_op(struct gendisk *disk, sector_t sector, unsigned int zones, \
	      COMPAT_REPORT_ZONES_PARAMS)				\
{									\
	return name(disk, sector, zones, args);				\
}

static inline int compat_report_zone(struct gendisk *disk, struct blk_zone *zone,
				     unsigned int n, struct blk_report_zones_args *args)
{
	return disk_report_zone(disk, zone, n, args);
}
#else
struct blk_report_zones_args {
	report_zones_cb cb;
	void *data;
};

#define COMPAT_REPORT_ZONES_PARAMS	report_zones_cb cb, void *data

#define COMPAT_REPORT_ZONES_OP(name)					\
int name##_op(struct gendisk *disk, sector_t sector, unsigned int zones, \
	      COMPAT_REPORT_ZONES_PARAMS)				\
{									\
	struct blk_report_zones_args args = { .cb = cb, .data = data };	\
									\
	return name(disk, sector, zones, &args);			\
}

static inline int compat_report_zone(struct gendisk *disk, struct blk_zone *zone,
				     unsigned int n, struct blk_report_zones_args *args)
{
	return args->cb(zone, n, args->data);
}
#endif
#else
static inline void compat_limit_zones(struct queue_limits *lim, u32 sectors, u32 max_open,
				      u32 max_active, u32 max_append, u32 granularity)
{
}

static inline int compat_revalidate_zones(struct gendisk *disk)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* PYKIT_COMPAT_ZONED_H */
