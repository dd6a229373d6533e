/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Zoned devices, for the other files of the driver.
 */
#ifndef PYKIT_BLK_ZONED_H
#define PYKIT_BLK_ZONED_H

#include "../compat/zoned.h"
#include "pykit_blk.h"

#ifdef PYKIT_HAVE_ZONED
int pykit_blk_read_zones(struct virtio_device *vdev, struct pykit_blk_limits *lim);
#else
/* No feature that the driver does not know is negotiated: the device has no zones. */
static inline int pykit_blk_read_zones(struct virtio_device *vdev,
				       struct pykit_blk_limits *lim)
{
	return 0;
}
#endif

#if defined(PYKIT_HAVE_ZONED) && IS_ENABLED(CONFIG_BLK_DEV_ZONED)
int pykit_blk_report_zones_op(struct gendisk *disk, sector_t sector, unsigned int zones,
			      COMPAT_REPORT_ZONES_PARAMS);
#else
#define pykit_blk_report_zones_op	NULL
#endif

#endif /* PYKIT_BLK_ZONED_H */
