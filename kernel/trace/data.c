// SPDX-License-Identifier: GPL-2.0-only
/*
 * What disks hold, as far as their drivers have written it: reads have to bring that.
 *
 * Of each sector the check sum of what was written last is kept. It counts once that
 * write has ended well, if the data was the same then, and no other write was under way
 * there meanwhile: which of the two comes last is the device's choice. A read is
 * compared with it that began behind that, and ended before anything else was to be
 * written there. All this is ordered by a clock of the disk, which goes on where a write
 * begins or ends.
 */
#include <linux/crc32.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "pykit_probe.h"

/* So many sectors from the first one on are followed. */
#define FOLLOWED	(64 << 11)

/**
 * struct pykit_probe_sector - a sector
 * @sum: check sum of what was written last
 * @changed: when that began, or something else that changes it
 * @settled: since when @sum holds, 0 if it does not
 * @writes: how many writes are under way
 * @overlap: whether more than one was since there was none
 */
struct pykit_probe_sector {
	u32 sum;
	u32 changed;
	u32 settled;
	u16 writes;
	bool overlap;
};

/**
 * struct pykit_probe_data - what a disk holds
 * @node: in the list of all
 * @vdev: its device
 * @users: its queues
 * @lock: protects what follows
 * @clock: the time
 * @forgotten: when something changed of which it is not known what
 * @sectors: the first ones
 */
struct pykit_probe_data {
	struct list_head node;
	struct virtio_device *vdev;
	unsigned int users;
	spinlock_t lock;	/* protects the time and the sectors */
	u32 clock;
	u32 forgotten;
	struct pykit_probe_sector sectors[];
};

static LIST_HEAD(disks);
static DEFINE_MUTEX(disks_lock);

/**
 * pykit_probe_data_get() - use what is known of a disk
 * @vdev: its device
 *
 * Return: it, NULL if there is no memory.
 */
struct pykit_probe_data *pykit_probe_data_get(struct virtio_device *vdev)
{
	struct pykit_probe_data *data;

	mutex_lock(&disks_lock);
	list_for_each_entry(data, &disks, node)
		if (data->vdev == vdev)
			goto found;
	data = kvzalloc(struct_size(data, sectors, FOLLOWED), GFP_KERNEL);
	if (!data)
		goto out;
	data->vdev = vdev;
	spin_lock_init(&data->lock);
	list_add(&data->node, &disks);
found:
	data->users++;
out:
	mutex_unlock(&disks_lock);
	return data;
}

/**
 * pykit_probe_data_put() - use it no more
 * @data: what is known, or NULL
 */
void pykit_probe_data_put(struct pykit_probe_data *data)
{
	if (!data)
		return;
	mutex_lock(&disks_lock);
	if (!--data->users) {
		list_del(&data->node);
		kvfree(data);
	}
	mutex_unlock(&disks_lock);
}

/**
 * pykit_probe_data_now() - the time of a disk
 * @data: what is known
 *
 * Return: it, which is never 0 behind the first write.
 */
u32 pykit_probe_data_now(struct pykit_probe_data *data)
{
	unsigned long flags;
	u32 now;

	spin_lock_irqsave(&data->lock, flags);
	now = data->clock;
	spin_unlock_irqrestore(&data->lock, flags);
	return now;
}

/**
 * pykit_probe_data_forget() - something is about to change
 * @data: what is known
 */
void pykit_probe_data_forget(struct pykit_probe_data *data)
{
	unsigned long flags;

	spin_lock_irqsave(&data->lock, flags);
	data->forgotten = ++data->clock;
	spin_unlock_irqrestore(&data->lock, flags);
}

/**
 * pykit_probe_data_spoil() - sectors are about to become something else
 * @data: what is known
 * @sector: the first one
 * @count: how many of them
 */
void pykit_probe_data_spoil(struct pykit_probe_data *data, u64 sector, u64 count)
{
	unsigned long flags;
	u64 end = min_t(u64, sector + count, FOLLOWED);
	u32 now;

	spin_lock_irqsave(&data->lock, flags);
	now = ++data->clock;
	for (; sector < end; sector++) {
		data->sectors[sector].changed = now;
		data->sectors[sector].settled = 0;
	}
	spin_unlock_irqrestore(&data->lock, flags);
}

/**
 * pykit_probe_data_write() - sectors are about to be written
 * @data: what is known
 * @sector: the first one
 * @count: how many of them
 *
 * Return: when that is. pykit_probe_data_end() ends it.
 */
u32 pykit_probe_data_write(struct pykit_probe_data *data, u64 sector, u64 count)
{
	unsigned long flags;
	u64 end = min_t(u64, sector + count, FOLLOWED);
	u32 now;

	spin_lock_irqsave(&data->lock, flags);
	now = ++data->clock;
	for (; sector < end; sector++) {
		struct pykit_probe_sector *at = &data->sectors[sector];

		at->changed = now;
		at->settled = 0;
		at->overlap |= at->writes++ > 0;
	}
	spin_unlock_irqrestore(&data->lock, flags);
	return now;
}

/**
 * pykit_probe_data_end() - sectors are not being written any more
 * @data: what is known
 * @sector: the first one
 * @count: how many of them
 */
void pykit_probe_data_end(struct pykit_probe_data *data, u64 sector, u64 count)
{
	unsigned long flags;
	u64 end = min_t(u64, sector + count, FOLLOWED);

	spin_lock_irqsave(&data->lock, flags);
	for (; sector < end; sector++) {
		struct pykit_probe_sector *at = &data->sectors[sector];

		if (!at->writes || !--at->writes)
			at->overlap = false;
	}
	spin_unlock_irqrestore(&data->lock, flags);
}

/**
 * pykit_probe_data_begin() - a sector that is about to be written has a check sum
 * @data: what is known
 * @sector: the sector
 * @began: when its write began
 * @sum: the check sum
 */
void pykit_probe_data_begin(struct pykit_probe_data *data, u64 sector, u32 began, u32 sum)
{
	unsigned long flags;

	if (sector >= FOLLOWED)
		return;
	spin_lock_irqsave(&data->lock, flags);
	if (data->sectors[sector].changed == began)
		data->sectors[sector].sum = sum;
	spin_unlock_irqrestore(&data->lock, flags);
}

/**
 * pykit_probe_data_settle() - a sector was written
 * @data: what is known
 * @sector: the sector
 * @began: when its write began
 * @sum: the check sum of its data now
 */
void pykit_probe_data_settle(struct pykit_probe_data *data, u64 sector, u32 began, u32 sum)
{
	struct pykit_probe_sector *at = &data->sectors[sector];
	unsigned long flags;

	if (sector >= FOLLOWED)
		return;
	spin_lock_irqsave(&data->lock, flags);
	if (at->changed == began && at->sum == sum && !at->overlap && began > data->forgotten)
		at->settled = ++data->clock;
	spin_unlock_irqrestore(&data->lock, flags);
}

/**
 * pykit_probe_data_compare() - compare a sector that was read with what is known of it
 * @data: what is known
 * @sector: the sector
 * @began: when its read began
 * @sum: the check sum of its data
 * @wrote: what becomes of the request: @known and @other count sectors
 */
void pykit_probe_data_compare(struct pykit_probe_data *data, u64 sector, u32 began, u32 sum,
			      struct pykit_blk_wrote *wrote)
{
	const struct pykit_probe_sector *at = &data->sectors[sector];
	unsigned long flags;

	if (sector >= FOLLOWED)
		return;
	spin_lock_irqsave(&data->lock, flags);
	if (at->settled > data->forgotten && at->settled <= began) {
		wrote->known++;
		wrote->other += at->sum != sum;
	}
	spin_unlock_irqrestore(&data->lock, flags);
}
