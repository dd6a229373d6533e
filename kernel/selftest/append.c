// SPDX-License-Identifier: GPL-2.0-only
/*
 * Zone appends, which no program can ask for: done by writing "DISK SECTOR" to
 * the parameter "append", SECTOR being where an empty zone begins.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "selftest.h"

#ifdef PYKIT_HAVE_ZONED

#define APPENDS		3

/* Append a page at the write pointer; store the sector of the pointer. */
static int selftest_append_page(struct block_device *bdev, sector_t zone,
				struct page *page, sector_t *sector)
{
	struct bio_vec vec;
	struct bio bio;
	int err;

	bio_init(&bio, bdev, &vec, 1, REQ_OP_ZONE_APPEND | REQ_SYNC);
	bio.bi_iter.bi_sector = zone;
	__bio_add_page(&bio, page, PAGE_SIZE, 0);
	err = submit_bio_wait(&bio);
	*sector = bio.bi_iter.bi_sector;
	bio_uninit(&bio);
	return err;
}

static int selftest_read_page(struct block_device *bdev, sector_t sector,
			      struct page *page)
{
	struct bio_vec vec;
	struct bio bio;
	int err;

	bio_init(&bio, bdev, &vec, 1, REQ_OP_READ | REQ_SYNC);
	bio.bi_iter.bi_sector = sector;
	__bio_add_page(&bio, page, PAGE_SIZE, 0);
	err = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return err;
}

static int selftest_append_and_read(struct block_device *bdev, sector_t zone,
				    struct page *page)
{
	unsigned int i;
	sector_t sector;
	int err;

	for (i = 0; i < APPENDS; i++) {
		memset(page_address(page), 'a' + i, PAGE_SIZE);
		err = selftest_append_page(bdev, zone, page, &sector);
		if (err)
			return err;
		if (sector != zone + i * (PAGE_SIZE >> SECTOR_SHIFT)) {
			pr_err("appended at %llu, not behind what was there\n",
			       (u64)sector);
			return -EIO;
		}
		memset(page_address(page), 0, PAGE_SIZE);
		err = selftest_read_page(bdev, sector, page);
		if (err)
			return err;
		if (memchr_inv(page_address(page), 'a' + i, PAGE_SIZE)) {
			pr_err("what was appended at %llu came back changed\n",
			       (u64)sector);
			return -EIO;
		}
	}
	return 0;
}

static int selftest_set_append(const char *val, const struct kernel_param *kp)
{
	unsigned long long zone;
	struct page *page;
	struct file *file;
	char path[32];
	int err;

	if (sscanf(val, "%31s %llu", path, &zone) != 2)
		return -EINVAL;
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE,
				      NULL, NULL);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
	} else {
		err = selftest_append_and_read(file_bdev(file), zone, page);
		fput(file);
	}
	__free_page(page);
	return err;
}

static const struct kernel_param_ops append_ops = {
	.set	= selftest_set_append,
};

module_param_cb(append, &append_ops, NULL, 0200);
MODULE_PARM_DESC(append, "Append to the zone of a disk that begins at a sector: DISK SECTOR");
#endif /* PYKIT_HAVE_ZONED */
