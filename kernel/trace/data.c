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
#include <linux/blk_types.h>
#include <linux/crc32.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <trace/events/pykit.h>

#include <pykit_data.h>

/* So many sectors from the first one on are followed. */
#define FOLLOWED	(64 << 11)

/**
 * struct pykit_data_sector - a sector
 * @sum: check sum of what was written last
 * @changed: when that began, or something else that changes it
 * @settled: since when @sum holds, 0 if it does not
 * @writes: how many writes are under way
 * @overlap: whether more than one was since there was none
 */
struct pykit_data_sector {
	u32 sum;
	u32 changed;
	u32 settled;
	u16 writes;
	bool overlap;
};

/**
 * struct pykit_data - what a disk holds
 * @node: in the list of all
 * @vdev: its device
 * @users: its queues
 * @lock: protects what follows
 * @clock: the time
 * @forgotten: when something changed of which it is not known what
 * @sectors: the first ones
 */
struct pykit_data {
	struct list_head node;
	struct virtio_device *vdev;
	unsigned int users;
	spinlock_t lock;	/* protects the time and the sectors */
	u32 clock;
	u32 forgotten;
	struct pykit_data_sector sectors[];
};

static LIST_HEAD(disks);
static DEFINE_MUTEX(disks_lock);

/**
 * pykit_data_get() - use what is known of a disk
 * @vdev: its device
 *
 * Return: it, NULL if there is no memory.
 */
struct pykit_data *pykit_data_get(struct virtio_device *vdev)
{
	struct pykit_data *data;

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
EXPORT_SYMBOL_GPL(pykit_data_get);

/**
 * pykit_data_put() - use it no more
 * @data: what is known, or NULL
 */
void pykit_data_put(struct pykit_data *data)
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
EXPORT_SYMBOL_GPL(pykit_data_put);

/**
 * pykit_data_now() - the time of a disk
 * @data: what is known
 *
 * Return: it, which is never 0 behind the first write.
 */
u32 pykit_data_now(struct pykit_data *data)
{
	unsigned long flags;
	u32 now;

	spin_lock_irqsave(&data->lock, flags);
	now = data->clock;
	spin_unlock_irqrestore(&data->lock, flags);
	return now;
}
EXPORT_SYMBOL_GPL(pykit_data_now);

/**
 * pykit_data_forget() - something is about to change
 * @data: what is known
 */
void pykit_data_forget(struct pykit_data *data)
{
	unsigned long flags;

	spin_lock_irqsave(&data->lock, flags);
	data->forgotten = ++data->clock;
	spin_unlock_irqrestore(&data->lock, flags);
}
EXPORT_SYMBOL_GPL(pykit_data_forget);

/* Sectors change from now on; the time is returned. */
static u32 pykit_data_change(struct pykit_data *data, u64 sector, u64 count, bool write)
{
	unsigned long flags;
	u64 end = min_t(u64, sector + count, FOLLOWED);
	u32 now;

	spin_lock_irqsave(&data->lock, flags);
	now = ++data->clock;
	for (; sector < end; sector++) {
		struct pykit_data_sector *at = &data->sectors[sector];

		at->changed = now;
		at->settled = 0;
		if (write)
			at->overlap |= at->writes++ > 0;
	}
	spin_unlock_irqrestore(&data->lock, flags);
	return now;
}

/**
 * pykit_data_spoil() - sectors are about to become something else
 * @data: what is known
 * @sector: the first one
 * @count: how many of them
 */
void pykit_data_spoil(struct pykit_data *data, u64 sector, u64 count)
{
	pykit_data_change(data, sector, count, false);
}
EXPORT_SYMBOL_GPL(pykit_data_spoil);

/**
 * pykit_data_write() - sectors are about to be written
 * @data: what is known
 * @sector: the first one
 * @count: how many of them
 *
 * Return: when that is. pykit_data_end() ends it.
 */
u32 pykit_data_write(struct pykit_data *data, u64 sector, u64 count)
{
	return pykit_data_change(data, sector, count, true);
}
EXPORT_SYMBOL_GPL(pykit_data_write);

/**
 * pykit_data_end() - sectors are not being written any more
 * @data: what is known
 * @sector: the first one
 * @count: how many of them
 */
void pykit_data_end(struct pykit_data *data, u64 sector, u64 count)
{
	unsigned long flags;
	u64 end = min_t(u64, sector + count, FOLLOWED);

	spin_lock_irqsave(&data->lock, flags);
	for (; sector < end; sector++) {
		struct pykit_data_sector *at = &data->sectors[sector];

		if (!at->writes || !--at->writes)
			at->overlap = false;
	}
	spin_unlock_irqrestore(&data->lock, flags);
}
EXPORT_SYMBOL_GPL(pykit_data_end);

/* A sector that is about to be written has a check sum. */
static void pykit_data_begin(struct pykit_data_sector *at, const struct pykit_data_walk *walk)
{
	if (at->changed == walk->began)
		at->sum = walk->sum;
}

/* A sector was written: its data is what it was when that began. */
static void pykit_data_settle(struct pykit_data_sector *at, const struct pykit_data_walk *walk)
{
	struct pykit_data *data = walk->data;

	if (at->changed == walk->began && at->sum == walk->sum && !at->overlap &&
	    walk->began > data->forgotten)
		at->settled = ++data->clock;
}

/* A sector was read. */
static void pykit_data_compare(const struct pykit_data_sector *at,
			       const struct pykit_data_walk *walk)
{
	if (at->settled <= walk->data->forgotten || at->settled > walk->began)
		return;
	walk->wrote->known++;
	walk->wrote->other += at->sum != walk->sum;
}

static void pykit_data_end_sector(const struct pykit_data_walk *walk)
{
	struct pykit_data_sector *at = &walk->data->sectors[walk->sector];
	unsigned long flags;

	if (walk->sector >= FOLLOWED)
		return;
	spin_lock_irqsave(&walk->data->lock, flags);
	if (walk->step == PYKIT_DATA_BEGINS)
		pykit_data_begin(at, walk);
	else if (walk->step == PYKIT_DATA_WRITTEN)
		pykit_data_settle(at, walk);
	else
		pykit_data_compare(at, walk);
	spin_unlock_irqrestore(&walk->data->lock, flags);
}

/**
 * pykit_data_go_on() - go on through the data of a request
 * @walk: how far that came
 * @bytes: what follows
 * @count: how much that is
 */
void pykit_data_go_on(struct pykit_data_walk *walk, const u8 *bytes, size_t count)
{
	while (count) {
		u32 some = min_t(size_t, count, SECTOR_SIZE - walk->done);

		walk->sum = crc32_le(walk->done ? walk->sum : ~0, bytes, some);
		walk->done += some;
		bytes += some;
		count -= some;
		if (walk->done == SECTOR_SIZE) {
			walk->done = 0;
			pykit_data_end_sector(walk);
			walk->sector++;
		}
	}
}
EXPORT_SYMBOL_GPL(pykit_data_go_on);
