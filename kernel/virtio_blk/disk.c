// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disk, as the block layer and sysfs see it.
 */
#include <linux/blkdev.h>
#include <linux/hdreg.h>
#include <linux/idr.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "../compat/blk.h"
#include "zoned.h"

/* What a disk without a geometry of its own says: as SCSI disks do. */
#define HEADS		64
#define SECTORS		32

static void pykit_blk_free_disk(struct gendisk *disk)
{
	struct pykit_blk_dev *dev = disk->private_data;

	ida_free(&pykit_blk_ida, dev->index);
	kfree(dev);
}

static int pykit_blk_read_geometry(struct gendisk *disk, struct hd_geometry *geo)
{
	struct pykit_blk_dev *dev = disk->private_data;
	struct virtio_device *vdev;

	mutex_lock(&dev->vdev_lock);
	vdev = dev->vdev;
	if (vdev && virtio_has_feature(vdev, VIRTIO_BLK_F_GEOMETRY)) {
		virtio_cread(vdev, struct virtio_blk_config,
			     geometry.cylinders, &geo->cylinders);
		virtio_cread(vdev, struct virtio_blk_config,
			     geometry.heads, &geo->heads);
		virtio_cread(vdev, struct virtio_blk_config,
			     geometry.sectors, &geo->sectors);
	} else {
		geo->heads = HEADS;
		geo->sectors = SECTORS;
		geo->cylinders = get_capacity(disk) / (HEADS * SECTORS);
	}
	mutex_unlock(&dev->vdev_lock);
	return vdev ? 0 : -ENXIO;
}

COMPAT_GETGEO_OP(pykit_blk_read_geometry)

const struct block_device_operations pykit_blk_disk_ops = {
	.owner		= THIS_MODULE,
	.getgeo		= pykit_blk_read_geometry_op,
	.free_disk	= pykit_blk_free_disk,
	.report_zones	= pykit_blk_report_zones_op,
};

static ssize_t serial_show(struct device *d, struct device_attribute *attr,
			   char *buf)
{
	char *id = kzalloc(VIRTIO_BLK_ID_BYTES + 1, GFP_KERNEL);
	ssize_t len;

	if (!id)
		return -ENOMEM;
	len = pykit_blk_submit_drv_in(dev_to_disk(d), VIRTIO_BLK_T_GET_ID, 0, id,
				      VIRTIO_BLK_ID_BYTES);
	if (!len)
		len = sysfs_emit(buf, "%s\n", id);
	else if (len == -EOPNOTSUPP)
		len = 0;
	kfree(id);
	return len;
}
static DEVICE_ATTR_RO(serial);

/* As eMMC has it: state of the reserve, then wear of either type of memory. */
static ssize_t lifetime_show(struct device *d, struct device_attribute *attr,
			     char *buf)
{
	struct virtio_blk_lifetime *life = kzalloc(sizeof(*life), GFP_KERNEL);
	ssize_t len;

	if (!life)
		return -ENOMEM;
	len = pykit_blk_submit_drv_in(dev_to_disk(d), VIRTIO_BLK_T_GET_LIFETIME, 0, life,
				      sizeof(*life));
	if (!len)
		len = sysfs_emit(buf, "%#04x %#04x %#04x\n",
				 le16_to_cpu(life->pre_eol_info),
				 le16_to_cpu(life->device_lifetime_est_typ_a),
				 le16_to_cpu(life->device_lifetime_est_typ_b));
	kfree(life);
	return len;
}
static DEVICE_ATTR_RO(lifetime);

static const char *const cache_types[] = { "write through", "write back" };

static ssize_t cache_type_show(struct device *d, struct device_attribute *attr,
			       char *buf)
{
	struct pykit_blk_dev *dev = dev_to_disk(d)->private_data;

	return sysfs_emit(buf, "%s\n",
			  cache_types[pykit_blk_write_cache(dev->vdev)]);
}

static ssize_t cache_type_store(struct device *d, struct device_attribute *attr,
				const char *buf, size_t count)
{
	struct gendisk *disk = dev_to_disk(d);
	struct pykit_blk_dev *dev = disk->private_data;
	int type, err;
	u8 wce;

	type = sysfs_match_string(cache_types, buf);
	if (type < 0)
		return type;
	wce = type;
	virtio_cwrite(dev->vdev, struct virtio_blk_config, wce, &wce);
	/* The device has the last word. */
	err = pykit_blk_set_write_cache(disk, pykit_blk_write_cache(dev->vdev));
	return err ?: count;
}
static DEVICE_ATTR_RW(cache_type);

static struct attribute *disk_attrs[] = {
	&dev_attr_serial.attr,
	&dev_attr_lifetime.attr,
	&dev_attr_cache_type.attr,
	NULL,
};

static umode_t pykit_blk_disk_attr_mode(struct kobject *kobj, struct attribute *attr,
					int n)
{
	struct gendisk *disk = dev_to_disk(kobj_to_dev(kobj));
	struct pykit_blk_dev *dev = disk->private_data;

	if (attr == &dev_attr_lifetime.attr &&
	    !virtio_has_feature(dev->vdev, VIRTIO_BLK_F_LIFETIME))
		return 0;
	/* A cache that cannot be flushed is not to be switched on. */
	if (attr == &dev_attr_cache_type.attr &&
	    (!virtio_has_feature(dev->vdev, VIRTIO_BLK_F_CONFIG_WCE) ||
	     !virtio_has_feature(dev->vdev, VIRTIO_BLK_F_FLUSH)))
		return 0444;
	return attr->mode;
}

static const struct attribute_group disk_group = {
	.attrs		= disk_attrs,
	.is_visible	= pykit_blk_disk_attr_mode,
};

const struct attribute_group *pykit_blk_disk_groups[] = {
	&disk_group,
	NULL,
};
