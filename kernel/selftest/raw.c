// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that the block layer lets nobody make: done by writing "DISK TYPE SECTOR
 * BYTES" to the parameter "request". Writing fails with EREMOTEIO if the device
 * answers with an error.
 */
#include <linux/blk-mq.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio_blk.h>

#include "../compat/blk.h"
#include "selftest.h"

#ifdef PYKIT_HAVE_ZONED
/* Our driver takes passthrough requests whose driver data begins with their header. */
static bool selftest_is_ours(struct gendisk *disk)
{
	return disk->fops->owner && !strcmp(disk->fops->owner->name, "pykit_virtio_blk");
}

static int selftest_map_data(struct request *req, void *data, unsigned int bytes)
{
	if (!bytes)
		return 0;
	return compat_rq_map_kern(req, data, bytes, GFP_KERNEL);
}

static int selftest_execute(struct gendisk *disk, u32 type, u64 sector, void *data,
			    unsigned int bytes)
{
	bool write = type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_ZONE_APPEND;
	struct virtio_blk_outhdr *hdr;
	struct request *req;
	int err;

	req = blk_mq_alloc_request(disk->queue, write ? REQ_OP_DRV_OUT : REQ_OP_DRV_IN, 0);
	if (IS_ERR(req))
		return PTR_ERR(req);
	hdr = blk_mq_rq_to_pdu(req);
	hdr->type = __cpu_to_virtio32(true, type);
	hdr->sector = __cpu_to_virtio64(true, sector);
	err = selftest_map_data(req, data, bytes);
	if (!err && blk_execute_rq(req, false))
		err = -EREMOTEIO;
	blk_mq_free_request(req);
	return err;
}

static int selftest_request(const char *path, u32 type, u64 sector, unsigned int bytes)
{
	struct gendisk *disk;
	struct file *file;
	void *data;
	int err;

	data = kzalloc(max(bytes, 1U), GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	/* A disk that is read-only cannot be opened for more. */
	file = bdev_file_open_by_path(path, BLK_OPEN_READ, NULL, NULL);
	if (IS_ERR(file)) {
		kfree(data);
		return PTR_ERR(file);
	}
	disk = file_bdev(file)->bd_disk;
	err = selftest_is_ours(disk) ? selftest_execute(disk, type, sector, data, bytes) :
				       -EOPNOTSUPP;
	fput(file);
	kfree(data);
	return err;
}

static int selftest_set_request(const char *val, const struct kernel_param *kp)
{
	unsigned int type, bytes;
	unsigned long long sector;
	char path[32];

	if (sscanf(val, "%31s %u %llu %u", path, &type, &sector, &bytes) != 4 ||
	    bytes > SZ_256K)
		return -EINVAL;
	return selftest_request(path, type, sector, bytes);
}

static const struct kernel_param_ops request_ops = {
	.set	= selftest_set_request,
};

module_param_cb(request, &request_ops, NULL, 0200);
MODULE_PARM_DESC(request, "Make a request of our driver's disk: DISK TYPE SECTOR BYTES");
#endif
