// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the data is: memory or a file.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "pykit_vhost.h"

static int pykit_vhost_disk_new_memory(const struct pykit_vhost_disk *want,
				       struct pykit_disk *disk)
{
	if (!want->bytes || want->bytes > PYKIT_VHOST_MAX_BYTES)
		return -EINVAL;
	disk->memory = vzalloc(want->bytes);
	if (!disk->memory)
		return -ENOMEM;
	disk->bytes = want->bytes;
	return 0;
}

/* What may be done with the file was decided when the caller opened it. */
static int pykit_vhost_disk_check_file(const struct pykit_vhost_disk *want,
				       const struct file *file, u64 *bytes)
{
	const struct inode *inode = file->f_mapping->host;
	fmode_t mode = FMODE_READ | FMODE_CAN_READ;

	if (!(want->flags & PYKIT_VHOST_DISK_RO))
		mode |= FMODE_WRITE | FMODE_CAN_WRITE;
	if ((file->f_mode & mode) != mode)
		return -EBADF;
	if (!S_ISREG(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return -EINVAL;
	if (!file->f_op->read_iter || file->f_flags & O_APPEND ||
	    (mode & FMODE_WRITE && !file->f_op->write_iter))
		return -EINVAL;
	*bytes = i_size_read(inode) & ~(u64)(SECTOR_SIZE - 1);
	return 0;
}

static int pykit_vhost_disk_open_file(const struct pykit_vhost_disk *want,
				      struct pykit_disk *disk)
{
	struct file *file = fget(want->fd);
	u64 bytes;
	int err;

	if (!file)
		return -EBADF;
	err = pykit_vhost_disk_check_file(want, file, &bytes);
	if (!err && (!bytes || want->bytes > bytes))
		err = -EINVAL;
	if (err) {
		fput(file);
		return err;
	}
	disk->file = file;
	disk->bytes = want->bytes ? want->bytes : bytes;
	return 0;
}

/**
 * pykit_vhost_disk_set() - make the disk what is wanted
 * @disk: the disk; no queue is served
 * @want: what to keep the data in
 *
 * Memory that is as it should be keeps its contents. After an error the disk is
 * what it was.
 *
 * Return: 0, -EINVAL for a length or a file that is no disk, -EBADF for a file
 * that may not be read or written, -ENOMEM.
 */
int pykit_vhost_disk_set(struct pykit_disk *disk, const struct pykit_vhost_disk *want)
{
	struct pykit_disk new = {
		.read_only = want->flags & PYKIT_VHOST_DISK_RO,
	};
	int err;

	if (want->flags & ~PYKIT_VHOST_DISK_RO || want->fd < -1 ||
	    want->bytes & (SECTOR_SIZE - 1))
		return -EINVAL;
	if (want->fd == -1 && disk->memory && disk->bytes == want->bytes) {
		disk->read_only = new.read_only;
		return 0;
	}
	err = want->fd == -1 ? pykit_vhost_disk_new_memory(want, &new) :
			       pykit_vhost_disk_open_file(want, &new);
	if (err)
		return err;
	pykit_vhost_disk_drop(disk);
	*disk = new;
	return 0;
}

/**
 * pykit_vhost_disk_drop() - let go of the disk
 * @disk: the disk; no queue is served
 */
void pykit_vhost_disk_drop(struct pykit_disk *disk)
{
	vfree(disk->memory);
	if (disk->file)
		fput(disk->file);
	*disk = (struct pykit_disk){};
}

/**
 * pykit_vhost_disk_holds() - whether a range is on the disk
 * @disk: the disk
 * @sector: first sector
 * @bytes: length of the range
 *
 * Return: whether it consists of whole sectors of the disk.
 */
bool pykit_vhost_disk_holds(const struct pykit_disk *disk, u64 sector, u64 bytes)
{
	u64 sectors = disk->bytes >> SECTOR_SHIFT;

	return sector <= sectors && bytes <= (sectors - sector) << SECTOR_SHIFT &&
	       !(bytes & (SECTOR_SIZE - 1));
}

static bool pykit_vhost_disk_transfer(struct file *file, loff_t pos, struct iov_iter *iter,
				      bool write)
{
	struct kiocb iocb;
	ssize_t done;
	size_t left;

	while (iov_iter_count(iter)) {
		init_sync_kiocb(&iocb, file);
		iocb.ki_pos = pos;
		/* No file system is asked for more at a time. */
		left = iov_iter_count(iter);
		iov_iter_truncate(iter, MAX_RW_COUNT);
		if (write) {
			iocb.ki_flags |= IOCB_WRITE;
			file_start_write(file);
			done = file->f_op->write_iter(&iocb, iter);
			file_end_write(file);
		} else {
			done = file->f_op->read_iter(&iocb, iter);
		}
		if (done <= 0)
			return false;
		iov_iter_reexpand(iter, left - done);
		pos += done;
	}
	return true;
}

/**
 * pykit_vhost_disk_read() - from the disk to the driver
 * @disk: the disk
 * @sector: first sector; it holds the whole range
 * @to: the driver's buffers, all to be filled
 *
 * Return: whether all was read; @to has moved on by what was.
 */
bool pykit_vhost_disk_read(struct pykit_disk *disk, u64 sector, struct iov_iter *to)
{
	size_t bytes = iov_iter_count(to);

	if (disk->file)
		return pykit_vhost_disk_transfer(disk->file, sector << SECTOR_SHIFT, to, false);
	return copy_to_iter(disk->memory + (sector << SECTOR_SHIFT), bytes, to) ==
	       bytes;
}

/**
 * pykit_vhost_disk_write() - from the driver to the disk
 * @disk: the disk, not read-only
 * @sector: first sector; it holds the whole range
 * @from: the driver's buffers
 *
 * Return: whether all was written.
 */
bool pykit_vhost_disk_write(struct pykit_disk *disk, u64 sector, struct iov_iter *from)
{
	size_t bytes = iov_iter_count(from);

	if (disk->file)
		return pykit_vhost_disk_transfer(disk->file, sector << SECTOR_SHIFT, from, true);
	return copy_from_iter_full(disk->memory + (sector << SECTOR_SHIFT), bytes,
				   from);
}

/**
 * pykit_vhost_disk_flush() - make what was written last
 * @disk: the disk
 *
 * Return: whether it does.
 */
bool pykit_vhost_disk_flush(struct pykit_disk *disk)
{
	return !disk->file || !vfs_fsync(disk->file, 0);
}

/* For files that know no quicker way. */
static bool pykit_vhost_disk_write_zeroes(struct file *file, loff_t pos, u64 bytes)
{
	struct iov_iter iter;
	struct kvec page;

	while (bytes) {
		page.iov_base = page_address(ZERO_PAGE(0));
		page.iov_len = min_t(u64, bytes, PAGE_SIZE);
		iov_iter_kvec(&iter, ITER_SOURCE, &page, 1, page.iov_len);
		if (!pykit_vhost_disk_transfer(file, pos, &iter, true))
			return false;
		pos += page.iov_len;
		bytes -= page.iov_len;
	}
	return true;
}

/**
 * pykit_vhost_disk_zero() - make a range zero
 * @disk: the disk, not read-only
 * @sector: first sector; it holds the whole range
 * @bytes: length of the range
 * @free: whether its space may be given back
 *
 * Return: whether it is.
 */
bool pykit_vhost_disk_zero(struct pykit_disk *disk, u64 sector, u64 bytes, bool free)
{
	loff_t pos = sector << SECTOR_SHIFT;
	int mode = free ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	int err;

	if (!bytes)
		return true;
	if (!disk->file) {
		memset(disk->memory + pos, 0, bytes);
		return true;
	}
	err = vfs_fallocate(disk->file, mode | FALLOC_FL_KEEP_SIZE, pos, bytes);
	if (err == -EOPNOTSUPP)
		return pykit_vhost_disk_write_zeroes(disk->file, pos, bytes);
	return !err;
}

/**
 * pykit_vhost_disk_discard() - give the space of a range back
 * @disk: the disk, not read-only
 * @sector: first sector; it holds the whole range
 * @bytes: length of the range
 *
 * Return: whether nothing went wrong; that it cannot be given back does not.
 */
bool pykit_vhost_disk_discard(struct pykit_disk *disk, u64 sector, u64 bytes)
{
	int err;

	if (!disk->file || !bytes)
		return pykit_vhost_disk_zero(disk, sector, bytes, true);
	err = vfs_fallocate(disk->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    sector << SECTOR_SHIFT, bytes);
	return !err || err == -EOPNOTSUPP;
}
