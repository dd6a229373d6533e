/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The block layer's interface, as the newest kernel has it.
 */
#ifndef PYKIT_COMPAT_BLK_H
#define PYKIT_COMPAT_BLK_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/virtio.h>
#ifdef PYKIT_HAVE_VIRTIO_MAP_QUEUES
#include <linux/blk-mq-virtio.h>
#endif

/*
 * Merging is a matter of course since cc76ace465d6 ("block: remove
 * BLK_MQ_F_SHOULD_MERGE"), v6.14.
 */
#ifdef PYKIT_HAVE_SHOULD_MERGE
#define COMPAT_TAG_SET_FLAGS	BLK_MQ_F_SHOULD_MERGE
#else
#define COMPAT_TAG_SET_FLAGS	0
#endif

/*
 * The queue is that of the request: 75618ac6e98f ("block: remove unused parameter 'q'
 * parameter in __blk_rq_map_sg()"), v6.15.
 */
static __always_inline int compat_rq_map_sg(struct request *req, struct scatterlist *sgl)
{
#ifdef PYKIT_HAVE_MAP_SG_QUEUE
	return blk_rq_map_sg(req->q, req, sgl);
#else
	return blk_rq_map_sg(req, sgl);
#endif
}

/* Likewise: af78428ed3f3 ("block: remove the q argument from blk_rq_map_kern"), v6.16. */
static inline int compat_rq_map_kern(struct request *req, void *buf, unsigned int bytes,
				     gfp_t gfp)
{
#ifdef PYKIT_HAVE_MAP_KERN_QUEUE
	return blk_rq_map_kern(req->q, req, buf, bytes, gfp);
#else
	return blk_rq_map_kern(req, buf, bytes, gfp);
#endif
}

/*
 * One function maps queues to CPUs for every bus: 9bc1e897a821 ("blk-mq: remove unused
 * queue mapping helpers"), v6.14.
 */
static inline void compat_map_hw_queues(struct blk_mq_queue_map *map,
					struct virtio_device *vdev)
{
#ifdef PYKIT_HAVE_VIRTIO_MAP_QUEUES
	blk_mq_virtio_map_queues(map, vdev, 0);
#else
	blk_mq_map_hw_queues(map, &vdev->dev, 0);
#endif
}

/*
 * Lists of requests have a type: a3396b99990d ("block: add a rq_list type"), v6.13. Before
 * 217b613a53d3 ("blk-mq: update driver tags request table when start request"), v6.7, the
 * driver entered the requests of a list into the table of tags.
 *
 * COMPAT_QUEUE_RQS_OP(name) defines the operation name_op(), which calls name(list).
 */
#ifdef PYKIT_HAVE_RQ_LIST
static __always_inline void compat_rq_list_add(struct rq_list *list, struct request *req)
{
	rq_list_add_tail(list, req);
}

static __always_inline struct request *compat_rq_list_pop(struct rq_list *list)
{
	return rq_list_pop(list);
}

#define COMPAT_QUEUE_RQS_OP(name)					\
static void name##_op(struct rq_list *list)					\
{									\
	name(list);							\
}
#else
struct rq_list {
	struct request *head;
	struct request *tail;
};

static __always_inline void compat_rq_list_add(struct rq_list *list, struct request *req)
{
	req->mq_hctx->tags->rqs[req->tag] = req;
	req->rq_next = NULL;
	if (list->head)
		list->tail->rq_next = req;
	else
		list->head = req;
	list->tail = req;
}

static __always_inline struct request *compat_rq_list_pop(struct rq_list *list)
{
	return rq_list_pop(&list->head);
}

#define COMPAT_QUEUE_RQS_OP(name)					\
static void name##_op(struct request **first)					\
{									\
	struct rq_list list = { .head = *first };			\
									\
	name(&list);							\
	*first = list.head;						\
}
#endif

/*
 * Freezing returns allocation flags, to be given back: 1e1a9cecfab3 ("block: force noio
 * scope in blk_mq_freeze_queue"), v6.14.
 */
static inline unsigned int compat_freeze_queue(struct request_queue *queue)
{
#ifdef PYKIT_HAVE_FREEZE_MEMFLAGS
	return blk_mq_freeze_queue(queue);
#else
	blk_mq_freeze_queue(queue);
	return 0;
#endif
}

static inline void compat_unfreeze_queue(struct request_queue *queue, unsigned int memflags)
{
#ifdef PYKIT_HAVE_FREEZE_MEMFLAGS
	blk_mq_unfreeze_queue(queue, memflags);
#else
	blk_mq_unfreeze_queue(queue);
#endif
}

/*
 * A disk's limits, its write cache among them, are given in one structure: 1122c0c1cc71
 * ("block: move cache control settings out of queue->flags"), v6.11. Before, each has a
 * setter; blk_mq_alloc_disk() takes the structure since 27e32cd23fed ("block: pass a
 * queue_limits argument to blk_mq_alloc_disk"), v6.9. queue_limits_commit_update_frozen()
 * freezes the queue itself: aa427d7b73b1, v6.14.
 */
#ifdef PYKIT_HAVE_LIMITS_FEATURES
static inline struct gendisk *compat_alloc_disk(struct blk_mq_tag_set *set,
						struct queue_limits *lim, bool write_cache,
						void *data)
{
	lim->features |= BLK_FEAT_ROTATIONAL;
	if (write_cache)
		lim->features |= BLK_FEAT_WRITE_CACHE;
	return blk_mq_alloc_disk(set, lim, data);
}

static inline int compat_set_write_cache(struct request_queue *queue, bool enable)
{
	struct queue_limits lim = queue_limits_start_update(queue);

	if (enable)
		lim.features |= BLK_FEAT_WRITE_CACHE;
	else
		lim.features &= ~BLK_FEAT_WRITE_CACHE;
#ifdef PYKIT_HAVE_LIMITS_COMMIT_FROZEN
	return queue_limits_commit_update_frozen(queue, &lim);
#else
	return queue_limits_commit_update(queue, &lim);
#endif
}
#else
static inline void compat_set_limits(struct request_queue *queue,
				     const struct queue_limits *lim)
{
	blk_queue_logical_block_size(queue, lim->logical_block_size);
	blk_queue_physical_block_size(queue, lim->physical_block_size);
	blk_queue_alignment_offset(queue, lim->alignment_offset);
	if (lim->io_min)
		blk_queue_io_min(queue, lim->io_min);
	blk_queue_io_opt(queue, lim->io_opt);
	blk_queue_max_segments(queue, lim->max_segments);
	blk_queue_max_segment_size(queue, lim->max_segment_size);
	blk_queue_max_hw_sectors(queue, lim->max_hw_sectors);
	if (lim->max_hw_discard_sectors || lim->max_secure_erase_sectors) {
		blk_queue_max_discard_sectors(queue, lim->max_hw_discard_sectors);
		blk_queue_max_secure_erase_sectors(queue, lim->max_secure_erase_sectors);
		blk_queue_max_discard_segments(queue, lim->max_discard_segments);
		queue->limits.discard_granularity = lim->discard_granularity;
	}
	blk_queue_max_write_zeroes_sectors(queue, lim->max_write_zeroes_sectors);
}

static inline struct gendisk *compat_alloc_disk(struct blk_mq_tag_set *set,
						struct queue_limits *lim, bool write_cache,
						void *data)
{
	struct gendisk *disk;

	if (lim->logical_block_size > PAGE_SIZE)
		return ERR_PTR(-EINVAL);
#ifdef PYKIT_HAVE_ALLOC_DISK_LIMITS
	disk = blk_mq_alloc_disk(set, NULL, data);
#else
	disk = blk_mq_alloc_disk(set, data);
#endif
	if (IS_ERR(disk))
		return disk;
	compat_set_limits(disk->queue, lim);
	blk_queue_write_cache(disk->queue, write_cache, false);
	return disk;
}

static inline int compat_set_write_cache(struct request_queue *queue, bool enable)
{
	blk_queue_write_cache(queue, enable, false);
	return 0;
}
#endif

/*
 * The geometry is asked of a disk: 4fc8728aa34f ("block: switch ->getgeo() to struct
 * gendisk"), v6.18. COMPAT_GETGEO_OP(name) defines the operation name_op(), which calls
 * name(disk, geo).
 */
#ifdef PYKIT_HAVE_GETGEO_DISK
#define COMPAT_GETGEO_OP(name)						\
static int name##_op(struct gendisk *disk, struct hd_geometry *geo)		\
{									\
	return name(disk, geo);						\
}
#else
#define COMPAT_GETGEO_OP(name)						\
static int name##_op(struct block_device *bdev, struct hd_geometry *geo) \
{									\
	return name(bdev->bd_disk, geo);				\
}
#endif

#endif /* PYKIT_COMPAT_BLK_H */
