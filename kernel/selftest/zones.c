// SPDX-License-Identifier: GPL-2.0-only
/*
 * The zones of the disk in software: states, write pointers, limits, reports.
 */
#include <linux/module.h>

#include "disk.h"

unsigned int soft_disk_zoned;
module_param_named(zoned, soft_disk_zoned, uint, 0444);
MODULE_PARM_DESC(zoned, "Make the disk host-managed (1) or host-aware (2), 0 for no zones");

#ifdef PYKIT_HAVE_ZONED
#define MAX_OPEN_ZONES		2
#define MAX_ACTIVE_ZONES	3
#define MAX_APPEND_SECTORS	64
#define SIZE_MAX_BYTES		SZ_64K
/* Of a host-managed disk: zones that something has gone wrong with. */
#define READ_ONLY_ZONE		(ZONES - 2)
#define OFFLINE_ZONE		(ZONES - 1)

static u64 soft_disk_zone_start(struct soft_disk *d, struct soft_zone *zone)
{
	return (zone - d->zones) * ZONE_SECTORS;
}

static bool soft_disk_is_open(struct soft_zone *zone)
{
	return zone->state == VIRTIO_BLK_ZS_IOPEN ||
	       zone->state == VIRTIO_BLK_ZS_EOPEN;
}

static bool soft_disk_is_active(struct soft_zone *zone)
{
	return soft_disk_is_open(zone) || zone->state == VIRTIO_BLK_ZS_CLOSED;
}

/* Not even written to from its begin on. */
static bool soft_disk_is_lost(struct soft_zone *zone)
{
	return zone->state == VIRTIO_BLK_ZS_RDONLY ||
	       zone->state == VIRTIO_BLK_ZS_OFFLINE;
}

static u8 soft_disk_open_zone(struct soft_disk *d, struct soft_zone *zone, u8 state)
{
	unsigned int i, open = 0, active = 0;

	if (zone->state == VIRTIO_BLK_ZS_FULL || soft_disk_is_lost(zone))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	for (i = 0; i < ZONES; i++) {
		open += soft_disk_is_open(&d->zones[i]);
		active += soft_disk_is_active(&d->zones[i]);
	}
	if (!soft_disk_is_active(zone) && active == MAX_ACTIVE_ZONES)
		return VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE;
	if (!soft_disk_is_open(zone) && open == MAX_OPEN_ZONES)
		return VIRTIO_BLK_S_ZONE_OPEN_RESOURCE;
	if (zone->state != VIRTIO_BLK_ZS_EOPEN)
		zone->state = state;
	return VIRTIO_BLK_S_OK;
}

static u8 soft_disk_write_zone(struct soft_disk *d, struct soft_zone *zone, u64 sector,
			       u64 sectors)
{
	u64 end = soft_disk_zone_start(d, zone) + ZONE_SECTORS;
	u8 status;

	if (zone->state == VIRTIO_BLK_ZS_FULL || soft_disk_is_lost(zone))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	if (sector != zone->wp)
		return VIRTIO_BLK_S_ZONE_UNALIGNED_WP;
	if (sectors > end - sector)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	status = soft_disk_open_zone(d, zone, VIRTIO_BLK_ZS_IOPEN);
	if (status)
		return status;
	zone->wp += sectors;
	if (zone->wp == end)
		zone->state = VIRTIO_BLK_ZS_FULL;
	return VIRTIO_BLK_S_OK;
}

static u8 soft_disk_reset_zone(struct soft_disk *d, struct soft_zone *zone)
{
	if (soft_disk_is_lost(zone))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	zone->state = VIRTIO_BLK_ZS_EMPTY;
	zone->wp = soft_disk_zone_start(d, zone);
	return VIRTIO_BLK_S_OK;
}

static u8 soft_disk_close_zone(struct soft_disk *d, struct soft_zone *zone)
{
	if (!soft_disk_is_active(zone))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	zone->state = zone->wp == soft_disk_zone_start(d, zone) ? VIRTIO_BLK_ZS_EMPTY :
								   VIRTIO_BLK_ZS_CLOSED;
	return VIRTIO_BLK_S_OK;
}

static u8 soft_disk_finish_zone(struct soft_disk *d, struct soft_zone *zone)
{
	if (soft_disk_is_lost(zone))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	zone->state = VIRTIO_BLK_ZS_FULL;
	zone->wp = soft_disk_zone_start(d, zone) + ZONE_SECTORS;
	return VIRTIO_BLK_S_OK;
}

static u8 soft_disk_manage_zone(struct soft_disk *d, struct soft_zone *zone, u32 type)
{
	if (zone->state == VIRTIO_BLK_ZS_NOT_WP)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	switch (type) {
	case VIRTIO_BLK_T_ZONE_OPEN:
		return soft_disk_open_zone(d, zone, VIRTIO_BLK_ZS_EOPEN);
	case VIRTIO_BLK_T_ZONE_CLOSE:
		return soft_disk_close_zone(d, zone);
	case VIRTIO_BLK_T_ZONE_FINISH:
		return soft_disk_finish_zone(d, zone);
	case VIRTIO_BLK_T_ZONE_RESET:
		return soft_disk_reset_zone(d, zone);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static void soft_disk_report_zones(struct soft_disk *d, struct soft_chain *chain,
				   u64 sector, u64 room)
{
	struct virtio_blk_zone_report report = { };
	unsigned int i = sector / ZONE_SECTORS, n = 0;
	u8 type = soft_disk_zoned == VIRTIO_BLK_Z_HM ? VIRTIO_BLK_ZT_SWR : VIRTIO_BLK_ZT_SWP;
	u64 at = sizeof(report);

	for (; i < ZONES; i++, n++) {
		struct virtio_blk_zone_descriptor zone = {
			.z_cap = __cpu_to_virtio64(true, ZONE_SECTORS),
			.z_start = __cpu_to_virtio64(true, (u64)i * ZONE_SECTORS),
			.z_wp = __cpu_to_virtio64(true, d->zones[i].wp),
			.z_type = i ? type : VIRTIO_BLK_ZT_CONV,
			.z_state = d->zones[i].state,
		};

		if (at + sizeof(zone) > room)
			break;
		at += soft_disk_answer(chain, at, &zone, sizeof(zone));
	}
	report.nr_zones = __cpu_to_virtio64(true, n);
	soft_disk_answer(chain, 0, &report, sizeof(report));
}

static u8 soft_disk_append(struct soft_disk *d, struct soft_chain *chain,
			   struct soft_zone *zone, u64 sector, u64 len)
{
	__virtio64 appended;
	u8 status;

	if (soft_disk_zoned != VIRTIO_BLK_Z_HM || zone->state == VIRTIO_BLK_ZS_NOT_WP ||
	    sector != soft_disk_zone_start(d, zone) ||
	    len > MAX_APPEND_SECTORS << SECTOR_SHIFT)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	sector = zone->wp;
	status = soft_disk_write_zone(d, zone, sector, len >> SECTOR_SHIFT);
	if (status)
		return status;
	soft_disk_payload(chain, d->data + (sector << SECTOR_SHIFT), len);
	appended = __cpu_to_virtio64(true, sector);
	soft_disk_answer(chain, 0, &appended, sizeof(appended));
	return VIRTIO_BLK_S_OK;
}

/**
 * soft_disk_zone_request() - do what a request for a zone says
 * @d: the disk; it has zones
 * @chain: the request's chain
 * @type: its type
 * @sector: its sector, which is on the disk
 *
 * Return: the status.
 */
u8 soft_disk_zone_request(struct soft_disk *d, struct soft_chain *chain, u32 type,
			  u64 sector)
{
	u64 room = soft_disk_bytes(chain, chain->out, chain->in) - 1;
	struct soft_zone *zone = &d->zones[sector / ZONE_SECTORS];
	u64 len = soft_disk_bytes(chain, 0, chain->out) - sizeof(struct virtio_blk_outhdr);
	unsigned int i;

	switch (type) {
	case VIRTIO_BLK_T_ZONE_REPORT:
		soft_disk_report_zones(d, chain, sector, room);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_ZONE_RESET_ALL:
		for (i = 0; i < ZONES; i++)
			if (d->zones[i].state != VIRTIO_BLK_ZS_NOT_WP)
				soft_disk_reset_zone(d, &d->zones[i]);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_ZONE_APPEND:
		return soft_disk_append(d, chain, zone, sector, len);
	default:
		return sector == soft_disk_zone_start(d, zone) ?
		       soft_disk_manage_zone(d, zone, type) :
		       VIRTIO_BLK_S_ZONE_INVALID_CMD;
	}
}

/**
 * soft_disk_erase_zones() - reset the zones of a range that is erased
 * @d: the disk; it has zones
 * @sector: the first sector
 * @sectors: length of the range, which is on the disk
 *
 * Return: the status.
 */
u8 soft_disk_erase_zones(struct soft_disk *d, u64 sector, u64 sectors)
{
	struct soft_zone *zone = &d->zones[sector / ZONE_SECTORS];

	if (sector % ZONE_SECTORS || sectors % ZONE_SECTORS)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	for (; sectors; sectors -= ZONE_SECTORS, zone++) {
		if (zone->state == VIRTIO_BLK_ZS_NOT_WP ||
		    soft_disk_reset_zone(d, zone))
			return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	}
	return VIRTIO_BLK_S_OK;
}

static void soft_disk_set_model(struct soft_disk *d)
{
	d->config.zoned.zone_sectors = __cpu_to_virtio32(true, ZONE_SECTORS);
	d->config.zoned.max_open_zones = __cpu_to_virtio32(true, MAX_OPEN_ZONES);
	d->config.zoned.max_active_zones = __cpu_to_virtio32(true, MAX_ACTIVE_ZONES);
	d->config.zoned.max_append_sectors = __cpu_to_virtio32(true, MAX_APPEND_SECTORS);
	d->config.zoned.write_granularity = __cpu_to_virtio32(true, SECTOR_SIZE);
	d->config.zoned.model = soft_disk_zoned;
}

/* A driver that knows no zones cannot use a host-managed disk; another has none for it. */
static bool soft_disk_accepts(struct soft_dev *dev)
{
	struct soft_disk *d = container_of(dev, struct soft_disk, soft);

	soft_disk_set_model(d);
	if (virtio_has_feature(&dev->vdev, VIRTIO_BLK_F_ZONED))
		return true;
	memset(&d->config.zoned, 0, sizeof(d->config.zoned));
	return soft_disk_zoned != VIRTIO_BLK_Z_HM;
}

/**
 * soft_disk_init_zones() - give a disk zones
 * @d: the disk
 */
void soft_disk_init_zones(struct soft_disk *d)
{
	unsigned int i;

	for (i = 0; i < ZONES; i++) {
		d->zones[i].state = i ? VIRTIO_BLK_ZS_EMPTY : VIRTIO_BLK_ZS_NOT_WP;
		d->zones[i].wp = (u64)i * ZONE_SECTORS;
	}
	if (soft_disk_zoned == VIRTIO_BLK_Z_HM) {
		d->zones[READ_ONLY_ZONE].state = VIRTIO_BLK_ZS_RDONLY;
		d->zones[OFFLINE_ZONE].state = VIRTIO_BLK_ZS_OFFLINE;
	}
	d->soft.features |= BIT_ULL(VIRTIO_BLK_F_ZONED) | BIT_ULL(VIRTIO_BLK_F_SIZE_MAX);
	d->soft.accepts = soft_disk_accepts;
	d->config.size_max = __cpu_to_virtio32(true, SIZE_MAX_BYTES);
	d->config.secure_erase_sector_alignment = __cpu_to_virtio32(true, ZONE_SECTORS);
	soft_disk_set_model(d);
}

/**
 * soft_disk_has_zones() - whether the driver knows of zones
 * @d: the disk
 *
 * Return: whether there are some and ZONED was negotiated.
 */
bool soft_disk_has_zones(struct soft_disk *d)
{
	return soft_disk_zoned && virtio_has_feature(&d->soft.vdev, VIRTIO_BLK_F_ZONED);
}

/**
 * soft_disk_may_access() - whether data may be read or written; a write moves the pointer
 * @d: the disk
 * @sector: the first sector
 * @sectors: how many, at least one; all are on the disk
 * @write: whether they are written
 *
 * Return: the status.
 */
u8 soft_disk_may_access(struct soft_disk *d, u64 sector, u64 sectors, bool write)
{
	struct soft_zone *zone = &d->zones[sector / ZONE_SECTORS];
	struct soft_zone *last = &d->zones[(sector + sectors - 1) / ZONE_SECTORS];

	if (soft_disk_zoned != VIRTIO_BLK_Z_HM || !soft_disk_has_zones(d) ||
	    last->state == VIRTIO_BLK_ZS_NOT_WP)
		return VIRTIO_BLK_S_OK;
	if (zone != last || zone->state == VIRTIO_BLK_ZS_OFFLINE)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	return write ? soft_disk_write_zone(d, zone, sector, sectors) : VIRTIO_BLK_S_OK;
}
#endif
