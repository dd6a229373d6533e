/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disk in software, shared by its files.
 *
 * disk.c	the device, and requests from header to status byte
 * zones.c	its zones, if it has some
 */
#ifndef PYKIT_SELFTEST_DISK_H
#define PYKIT_SELFTEST_DISK_H

#include <linux/blkdev.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/virtio_blk.h>
#include <linux/workqueue.h>

#include "selftest.h"

#define DISK_SECTORS		((u64)SZ_16M >> SECTOR_SHIFT)
#define ZONE_SECTORS		(SZ_1M >> SECTOR_SHIFT)
#define ZONES			(DISK_SECTORS / ZONE_SECTORS)

/**
 * struct soft_zone - a zone of the disk
 * @state: as the specification numbers it
 * @wp: sector of the write pointer
 */
struct soft_zone {
	u8 state;
	u64 wp;
};

/**
 * struct soft_disk - the disk
 * @soft: the device
 * @config: its configuration space
 * @data: what is stored on it
 * @zones: its zones; the first is conventional
 * @lock: held while requests are answered, and while the device is reset
 * @work: answers them
 */
struct soft_disk {
	struct soft_dev soft;
	struct virtio_blk_config config;
	u8 *data;
#ifdef PYKIT_HAVE_ZONED
	struct soft_zone zones[ZONES];
#endif
	struct mutex lock; /* a queue is not deleted while it is served */
	struct work_struct work;
};

extern unsigned int soft_disk_zoned;

/* disk.c */
u64 soft_disk_bytes(const struct soft_chain *chain, unsigned int first, unsigned int count);
u32 soft_disk_answer(struct soft_chain *chain, size_t at, const void *data, size_t len);
u32 soft_disk_payload(struct soft_chain *chain, void *data, size_t len);

/* zones.c */
#ifdef PYKIT_HAVE_ZONED
u8 soft_disk_zone_request(struct soft_disk *d, struct soft_chain *chain, u32 type,
			  u64 sector);
u8 soft_disk_erase_zones(struct soft_disk *d, u64 sector, u64 sectors);
void soft_disk_init_zones(struct soft_disk *d);
bool soft_disk_has_zones(struct soft_disk *d);
u8 soft_disk_may_access(struct soft_disk *d, u64 sector, u64 sectors, bool write);
#else
static inline u8 soft_disk_zone_request(struct soft_disk *d, struct soft_chain *chain, u32 type,
					u64 sector)
{
	return VIRTIO_BLK_S_UNSUPP;
}

static inline u8 soft_disk_erase_zones(struct soft_disk *d, u64 sector, u64 sectors)
{
	return VIRTIO_BLK_S_UNSUPP;
}

static inline void soft_disk_init_zones(struct soft_disk *d)
{
}

static inline bool soft_disk_has_zones(struct soft_disk *d)
{
	return false;
}

static inline u8 soft_disk_may_access(struct soft_disk *d, u64 sector, u64 sectors, bool write)
{
	return VIRTIO_BLK_S_OK;
}
#endif

#endif /* PYKIT_SELFTEST_DISK_H */
