// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be forced. A value that makes no sense is refused with -EINVAL; what
 * is forced holds for devices that are probed from then on.
 */
#include <linux/log2.h>
#include <linux/moduleparam.h>

#include "../compat/zoned.h"
#include "pykit_blk.h"

/* A ring's size is 16 bits wide and, in a split ring, a power of two. */
#define MAX_RING_SIZE		32768
#define MAX_TIMEOUT		3600

struct pykit_blk_params pykit_blk_params;

static int pykit_blk_set_queues(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, U16_MAX);
}

static const struct kernel_param_ops queues_ops = {
	.set	= pykit_blk_set_queues,
	.get	= param_get_uint,
};

static int pykit_blk_set_ring_size(const char *val, const struct kernel_param *kp)
{
	unsigned int size;
	int err = kstrtouint(val, 0, &size);

	if (err)
		return err;
	if (size && (size < 2 || size > MAX_RING_SIZE || !is_power_of_2(size)))
		return -EINVAL;
	return param_set_uint(val, kp);
}

static const struct kernel_param_ops ring_size_ops = {
	.set	= pykit_blk_set_ring_size,
	.get	= param_get_uint,
};

static int pykit_blk_set_timeout(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, MAX_TIMEOUT);
}

static const struct kernel_param_ops timeout_ops = {
	.set	= pykit_blk_set_timeout,
	.get	= param_get_uint,
};

module_param_cb(num_queues, &queues_ops, &pykit_blk_params.num_queues, 0644);
MODULE_PARM_DESC(num_queues, "Most request queues to use, 0 for one a CPU");

module_param_cb(poll_queues, &queues_ops, &pykit_blk_params.poll_queues, 0644);
MODULE_PARM_DESC(poll_queues, "How many of the queues are polled");

module_param_cb(ring_size, &ring_size_ops, &pykit_blk_params.ring_size, 0644);
MODULE_PARM_DESC(ring_size, "Descriptors of a ring, 0 for what the device says");

module_param_cb(timeout, &timeout_ops, &pykit_blk_params.timeout, 0644);
MODULE_PARM_DESC(timeout, "Seconds after which a device that does not answer is reset, 0 for never");

static unsigned long long features_mask;
module_param(features_mask, ullong, 0644);
MODULE_PARM_DESC(features_mask, "Features not to accept, as a mask");

static unsigned long long features_required;
module_param(features_required, ullong, 0644);
MODULE_PARM_DESC(features_required, "Features without which a device is not driven, as a mask");

static bool event_idx = true;
module_param(event_idx, bool, 0644);
MODULE_PARM_DESC(event_idx, "Whether to accept EVENT_IDX");

static bool indirect = true;
module_param(indirect, bool, 0644);
MODULE_PARM_DESC(indirect, "Whether to accept INDIRECT_DESC");

/**
 * pykit_blk_choose_features() - choose features as the parameters say
 * @vdev: the device, as it comes to validate()
 *
 * Return: 0, or -ENODEV if a feature that is required is not there.
 */
int pykit_blk_choose_features(struct virtio_device *vdev)
{
	u64 refused = features_mask, missing;

	if (!event_idx)
		refused |= BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	if (!indirect)
		refused |= BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	/* No legacy device is zoned. */
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1))
		refused |= BIT_ULL(VIRTIO_BLK_F_ZONED);
	vdev->features &= ~refused;
	missing = features_required & ~vdev->features;
	if (!missing)
		return 0;
	dev_err(&vdev->dev, "features %#llx are required and not there\n",
		missing);
	return -ENODEV;
}
