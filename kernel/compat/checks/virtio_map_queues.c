// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtio has its own mapping of queues to CPUs, until 9bc1e897a821 ("blk-mq:
 * remove unused queue mapping helpers"), v6.14, left blk_mq_map_hw_queues().
 */
#include <linux/blk-mq.h>
#include <linux/blk-mq-virtio.h>
#include <linux/virtio.h>

void check(struct blk_mq_queue_map *map, struct virtio_device *vdev);

void check(struct blk_mq_queue_map *map, struct virtio_device *vdev)
{
	blk_mq_virtio_map_queues(map, vdev, 0);
}
