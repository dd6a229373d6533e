/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What disks hold, as far as their drivers have written it.
 */
#ifndef PYKIT_DATA_H
#define PYKIT_DATA_H

#include <linux/types.h>

struct pykit_blk_wrote;
struct pykit_data;
struct virtio_device;

/**
 * enum pykit_data_step - what data of a request is gone through for
 * @PYKIT_DATA_BEGINS: it is about to be written
 * @PYKIT_DATA_WRITTEN: it was written
 * @PYKIT_DATA_READ: it was read
 */
enum pykit_data_step {
	PYKIT_DATA_BEGINS,
	PYKIT_DATA_WRITTEN,
	PYKIT_DATA_READ,
};

/**
 * struct pykit_data_walk - data of a request, gone through from its first byte on
 * @data: what the disk holds
 * @step: what for
 * @began: when the request began
 * @sector: the sector that is gone through, at first the request's
 * @done: bytes of it so far
 * @sum: check sum of these
 * @wrote: of a read: counts in @known and @other
 */
struct pykit_data_walk {
	struct pykit_data *data;
	enum pykit_data_step step;
	u32 began;
	u64 sector;
	u32 done;
	u32 sum;
	struct pykit_blk_wrote *wrote;
};

struct pykit_data *pykit_data_get(struct virtio_device *vdev);
void pykit_data_put(struct pykit_data *data);
u32 pykit_data_now(struct pykit_data *data);
void pykit_data_forget(struct pykit_data *data);
void pykit_data_spoil(struct pykit_data *data, u64 sector, u64 count);
u32 pykit_data_write(struct pykit_data *data, u64 sector, u64 count);
void pykit_data_end(struct pykit_data *data, u64 sector, u64 count);
void pykit_data_go_on(struct pykit_data_walk *walk, const u8 *bytes, size_t count);

#endif /* PYKIT_DATA_H */
