// SPDX-License-Identifier: GPL-2.0-only
/*
 * What goes wrong in negotiation. The device sees all of it.
 *
 * The core has written ACKNOWLEDGE, DRIVER and a first set of features.
 */
#include "pykit_blk.h"

/* Bits without a meaning: at all, up to now, and for block devices. */
#define UNDEFINED_FEATURE	25
#define RESERVED_FEATURE	45
#define NET_FEATURE		3

/* A feature of block devices that is defined and that this one lacks. */
static u64 pykit_blk_feature_not_offered(u64 offered)
{
	static const unsigned int candidates[] = {
		VIRTIO_BLK_F_SECURE_ERASE, VIRTIO_BLK_F_RO,
		VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_F_DISCARD,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(candidates); i++)
		if (!(offered & BIT_ULL(candidates[i])))
			return BIT_ULL(candidates[i]);
	return 0;
}

/* Acknowledged, then thought better of: the run goes on. */
static void pykit_blk_accept_for_a_while(struct virtio_device *vdev, u64 feature)
{
	vdev->features |= feature;
	vdev->config->finalize_features(vdev);
	vdev->features &= ~feature;
	vdev->config->finalize_features(vdev);
}

/**
 * pykit_blk_fault_not_offered() - accept what is not offered
 * @vdev: the device
 */
void pykit_blk_fault_not_offered(struct virtio_device *vdev)
{
	u64 offered = pykit_config_offered(vdev);

	pykit_blk_accept_for_a_while(vdev, pykit_blk_feature_not_offered(offered));
}

/**
 * pykit_blk_fault_undefined() - accept what the specification does not define
 * @vdev: the device
 */
void pykit_blk_fault_undefined(struct virtio_device *vdev)
{
	pykit_blk_accept_for_a_while(vdev, BIT_ULL(UNDEFINED_FEATURE));
}

/**
 * pykit_blk_fault_reserved() - accept what is reserved for later
 * @vdev: the device
 */
void pykit_blk_fault_reserved(struct virtio_device *vdev)
{
	pykit_blk_accept_for_a_while(vdev, BIT_ULL(RESERVED_FEATURE));
}

/**
 * pykit_blk_fault_of_other_type() - accept a feature of network devices
 * @vdev: the device
 *
 * It stays accepted, for only what is in the end counts for this.
 */
void pykit_blk_fault_of_other_type(struct virtio_device *vdev)
{
	vdev->features |= BIT_ULL(NET_FEATURE);
}

/**
 * pykit_blk_fault_not_packed() - refuse packed rings
 * @vdev: the device
 */
void pykit_blk_fault_not_packed(struct virtio_device *vdev)
{
	__virtio_clear_bit(vdev, VIRTIO_F_RING_PACKED);
}

static void pykit_blk_add_status(struct virtio_device *vdev, u8 status)
{
	vdev->config->set_status(vdev, vdev->config->get_status(vdev) | status);
}

/**
 * pykit_blk_fault_features_late() - accept one more feature after FEATURES_OK
 * @vdev: the device, which is reset afterwards, and starts as it should
 */
void pykit_blk_fault_features_late(struct virtio_device *vdev)
{
	u64 late = BIT_ULL(VIRTIO_BLK_F_FLUSH);

	vdev->features &= ~late;
	vdev->config->finalize_features(vdev);
	pykit_blk_add_status(vdev, VIRTIO_CONFIG_S_FEATURES_OK);
	vdev->config->get_status(vdev);
	vdev->features |= late;
	vdev->config->finalize_features(vdev);
	pykit_blk_start_again(vdev);
}

/**
 * pykit_blk_fault_two_steps() - set ACKNOWLEDGE and DRIVER by one write
 * @vdev: the device
 */
void pykit_blk_fault_two_steps(struct virtio_device *vdev)
{
	virtio_reset_device(vdev);
	pykit_blk_add_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	vdev->config->finalize_features(vdev);
}

/**
 * pykit_blk_fault_no_acknowledge() - leave ACKNOWLEDGE out
 * @vdev: the device
 */
void pykit_blk_fault_no_acknowledge(struct virtio_device *vdev)
{
	virtio_reset_device(vdev);
	pykit_blk_add_status(vdev, VIRTIO_CONFIG_S_DRIVER);
	vdev->config->finalize_features(vdev);
}

/**
 * pykit_blk_fault_failed() - set FAILED, and go on without a reset
 * @vdev: the device
 */
void pykit_blk_fault_failed(struct virtio_device *vdev)
{
	pykit_blk_add_status(vdev, VIRTIO_CONFIG_S_FAILED);
}

/**
 * pykit_blk_fault_field_not_offered() - read a field without its feature
 * @vdev: the device, which does not offer SIZE_MAX
 */
void pykit_blk_fault_field_not_offered(struct virtio_device *vdev)
{
	u32 value;

	if (!(pykit_config_offered(vdev) & BIT_ULL(VIRTIO_BLK_F_SIZE_MAX)))
		virtio_cread(vdev, struct virtio_blk_config, size_max, &value);
}

/**
 * pykit_blk_fault_writeback_early() - read writeback before FEATURES_OK
 * @vdev: the device
 */
void pykit_blk_fault_writeback_early(struct virtio_device *vdev)
{
	u8 value;

	virtio_cread(vdev, struct virtio_blk_config, wce, &value);
}

/**
 * pykit_blk_fault_config_written() - write to the configuration before FEATURES_OK
 * @vdev: the device
 */
void pykit_blk_fault_config_written(struct virtio_device *vdev)
{
	u8 value = 1;

	virtio_cwrite(vdev, struct virtio_blk_config, wce, &value);
}

/**
 * pykit_blk_fault_no_generation() - read a wide field without the generation
 * @vdev: the device
 */
void pykit_blk_fault_no_generation(struct virtio_device *vdev)
{
	__virtio64 capacity;

	vdev->config->get(vdev, offsetof(struct virtio_blk_config, capacity),
			  &capacity, sizeof(capacity));
}

/**
 * pykit_blk_fault_no_ring_reset() - do without resets of single queues
 * @vdev: the device
 *
 * A trace does not show such a reset, before which buffers must not be taken back.
 */
void pykit_blk_fault_no_ring_reset(struct virtio_device *vdev)
{
	__virtio_clear_bit(vdev, VIRTIO_F_RING_RESET);
}

/**
 * pykit_blk_fault_features_ready() - accept one feature less after DRIVER_OK
 * @vdev: the device, which goes on as it was
 */
void pykit_blk_fault_features_ready(struct virtio_device *vdev)
{
	u64 features = vdev->features;

	vdev->features &= ~BIT_ULL(VIRTIO_BLK_F_FLUSH);
	vdev->config->finalize_features(vdev);
	vdev->features = features;
}

/**
 * pykit_blk_fault_field_written() - write to a field without its feature
 * @vdev: the device, which does not offer SIZE_MAX
 */
void pykit_blk_fault_field_written(struct virtio_device *vdev)
{
	u32 value = 0;

	if (!(pykit_config_offered(vdev) & BIT_ULL(VIRTIO_BLK_F_SIZE_MAX)))
		virtio_cwrite(vdev, struct virtio_blk_config, size_max, &value);
}

/**
 * pykit_blk_fault_no_features_ok() - leave FEATURES_OK out
 * @status: what should be written
 *
 * Return: what is written.
 */
u8 pykit_blk_fault_no_features_ok(u8 status)
{
	return status & ~VIRTIO_CONFIG_S_FEATURES_OK;
}

/**
 * pykit_blk_fault_claim_features_ok() - hide from the core that it was left out
 * @status: what was read
 *
 * Return: what the core gets.
 */
u8 pykit_blk_fault_claim_features_ok(u8 status)
{
	if (status & VIRTIO_CONFIG_S_DRIVER)
		status |= VIRTIO_CONFIG_S_FEATURES_OK;
	return status;
}

/**
 * pykit_blk_fault_drop_acknowledge() - overwrite the status instead of adding to it
 * @status: what should be written
 *
 * Return: what is written: with DRIVER_OK, ACKNOWLEDGE goes.
 */
u8 pykit_blk_fault_drop_acknowledge(u8 status)
{
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		status &= ~VIRTIO_CONFIG_S_ACKNOWLEDGE;
	return status;
}

/**
 * pykit_blk_fault_capacity_written() - write to a field that is the device's
 * @vdev: the device, which is to find what it had there itself
 */
void pykit_blk_fault_capacity_written(struct virtio_device *vdev)
{
	u64 capacity;

	virtio_cread(vdev, struct virtio_blk_config, capacity, &capacity);
	virtio_cwrite(vdev, struct virtio_blk_config, capacity, &capacity);
}

/**
 * pykit_blk_fault_writeback_undefined() - write a value that no mode of the cache has
 * @vdev: the device
 */
void pykit_blk_fault_writeback_undefined(struct virtio_device *vdev)
{
	u8 value = 2;

	if (virtio_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE))
		virtio_cwrite(vdev, struct virtio_blk_config, wce, &value);
}
