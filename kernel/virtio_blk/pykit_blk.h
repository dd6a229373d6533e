/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instrumented virtio-blk driver, shared by its files.
 *
 * main.c	devices: probe, remove, configuration changes, suspend
 * param.c	what can be forced by parameters
 * vqs.c	the device's virtqueues, set up and deleted
 * limits.c	limits of the device, for the block layer
 * zoned.c	the same of zoned devices, and the report of their zones
 * disk.c	the disk, as the block layer and sysfs see it
 * queue.c	requests: from the block layer to a virtqueue and back
 * answer.c	what the device wrote to a request's buffers, for its events
 * recover.c	devices that are broken or do not answer
 * ring.h	virtqueues: the core's operations, for every request
 * ring.c	the same with tracing: changes of the ring
 * config.c	the transport's operations, watched
 * zoned.h	what zoned.c has for the other files
 * fault*.c	deliberate bugs (only in a build with FAULT=1)
 * fault.h	what they have for the other files
 */
#ifndef PYKIT_BLK_H
#define PYKIT_BLK_H

#include <linux/blk-mq.h>
#include <linux/completion.h>
#include <linux/idr.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/workqueue.h>
#include <pykit_config.h>
#include <pykit_data.h>
#include <pykit_ring.h>

#include "../common/marks.h"
#include "../compat/blk_uapi.h"
#include "fault.h"

#define PYKIT_BLK_INLINE_SG	2
#define PYKIT_BLK_NAME_LEN	20

/**
 * struct pykit_blk_vq - a request queue of the device
 * @vq: the core's virtqueue
 * @lock: taken for all but notifying
 * @ring: the ring
 * @data: what the disk holds, NULL if that is not followed
 * @name: name of the queue and its interrupt
 * @irq: number of its interrupt, 0 if it has none of its own
 * @fault: what goes wrong on it
 */
struct pykit_blk_vq {
	struct virtqueue *vq;
	spinlock_t lock; /* serialises all that touches the ring */
	struct pykit_ring ring;
	struct pykit_data *data;
	char name[PYKIT_BLK_NAME_LEN];
	unsigned int irq;
	struct pykit_blk_fault_state fault;
} ____cacheline_aligned_in_smp;

/**
 * struct pykit_blk_params - what can be forced, besides features
 * @num_queues: most request queues to use, 0 for one a CPU
 * @poll_queues: how many of them are polled
 * @ring_size: descriptors of a ring, 0 for what the device says
 * @timeout: seconds until a device that does not answer is reset, 0 for never
 */
struct pykit_blk_params {
	unsigned int num_queues;
	unsigned int poll_queues;
	unsigned int ring_size;
	unsigned int timeout;
};

extern struct pykit_blk_params pykit_blk_params;

/**
 * struct pykit_blk_dev - a virtio-blk device that this driver drives
 * @vdev: the virtio device, NULL when it has gone
 * @vdev_lock: held by who may still come when it has gone
 * @disk: its disk
 * @tag_set: tags of its requests
 * @vqs: its request queues
 * @num_vqs: how many there are
 * @num_poll: how many of them, the last ones, are polled
 * @ring_size: descriptors that their rings were forced to have, or 0
 * @zone_sectors: size of a zone, 0 if there are none
 * @index: number in the disk's name
 * @config_work: looks at a changed configuration
 * @recovers: whether the device is reset when a request waits for too long
 * @broken: set when the device turns out to be broken
 * @broken_work: fails what it will never complete
 * @reset_work: resets it, and goes on
 * @recover_lock: held while either is done
 */
struct pykit_blk_dev {
	struct virtio_device *vdev;
	struct mutex vdev_lock; /* against open files, when the device goes */
	struct gendisk *disk;
	struct blk_mq_tag_set tag_set;
	struct pykit_blk_vq *vqs;
	unsigned int num_vqs;
	unsigned int num_poll;
	unsigned int ring_size;
	u32 zone_sectors;
	int index;
	struct work_struct config_work;
	bool recovers;
	atomic_t broken;
	struct work_struct broken_work;
	struct work_struct reset_work;
	struct mutex recover_lock; /* one at a time settles what is outstanding */
};

/**
 * struct pykit_blk_req - driver data of a request
 * @hdr: header, read by the device
 * @status: status byte, written by the device
 * @append: the same of a zone append, after where it was appended
 * @behind: room behind them that no side uses
 * @in_len: length of either
 * @head: head of its descriptor chain
 * @done: completed instead of a block layer request, if not NULL
 * @mark: what the data was marked with, 0 if it was not
 * @began: when it began, by the disk's time
 * @written: sectors that it writes
 * @sent: the header as it was sent, if @mark is not 0
 * @sgt: data
 * @sg: first entries of @sgt
 */
struct pykit_blk_req {
	struct virtio_blk_outhdr hdr;
	union {
		u8 status;
		struct {
			__virtio64 sector;
			u8 status;
		} __packed append;
	};
	u8 behind[7];
	u16 in_len;
	u16 head;
	struct completion *done;
	u64 mark;
	u32 began;
	u64 written;
	struct virtio_blk_outhdr sent;
	struct sg_table sgt;
	struct scatterlist sg[];
};

/**
 * pykit_blk_status() - where a request's status byte is
 * @rq: the request
 *
 * Return: its address: the last byte that the device writes.
 */
static inline u8 *pykit_blk_status(struct pykit_blk_req *rq)
{
	return &rq->status + rq->in_len - 1;
}

/**
 * pykit_blk_behind() - bytes behind a request's status that no side uses
 * @rq: the request
 * @bytes: how many there are
 *
 * Return: where they are.
 */
static inline u8 *pykit_blk_behind(struct pykit_blk_req *rq, size_t *bytes)
{
	size_t at = offsetof(struct pykit_blk_req, status) + rq->in_len;

	*bytes = offsetofend(struct pykit_blk_req, behind) - at;
	return (u8 *)rq + at;
}

/**
 * struct pykit_blk_data - what a request carries besides header and status
 * @sgl: data, NULL if there is none
 * @bytes: length of the data
 * @write: whether the device reads it
 * @ranges: the data, if it is ranges to discard or zero
 * @segments: how many ranges
 */
struct pykit_blk_data {
	struct scatterlist *sgl;
	u64 bytes;
	bool write;
	const struct virtio_blk_discard_write_zeroes *ranges;
	u16 segments;
};

/**
 * struct pykit_blk_limits - what a device can take
 * @max_segments: data segments of a request
 * @max_segment_size: bytes of a segment
 * @block_size: logical block size in bytes
 * @physical_block_size: physical block size in bytes
 * @alignment_offset: offset of the first aligned block in bytes
 * @io_min: smallest good size of I/O in bytes, or 0
 * @io_opt: best size of I/O in bytes, or 0
 * @discard_sectors: longest discard, 0 where there is none
 * @discard_segments: ranges of a discard
 * @discard_granularity: in bytes
 * @zeroes_sectors: longest write-zeroes, 0 where there is none
 * @erase_sectors: longest secure erase, 0 where there is none
 * @write_cache: whether the device has a volatile write cache
 * @zone_sectors: size of a zone, 0 if there are none; else the rest holds
 * @max_open_zones: zones that may be open at a time, 0 for no limit
 * @max_active_zones: zones that may be open or closed at a time, likewise
 * @max_append_sectors: longest zone append
 * @write_granularity: bytes that a write to a zone is a multiple of
 */
struct pykit_blk_limits {
	u32 max_segments;
	u32 max_segment_size;
	u32 block_size;
	u32 physical_block_size;
	u32 alignment_offset;
	u32 io_min;
	u32 io_opt;
	u32 discard_sectors;
	u32 discard_segments;
	u32 discard_granularity;
	u32 zeroes_sectors;
	u32 erase_sectors;
	bool write_cache;
	u32 zone_sectors;
	u32 max_open_zones;
	u32 max_active_zones;
	u32 max_append_sectors;
	u32 write_granularity;
};

/* main.c */
extern struct ida pykit_blk_ida;
extern struct workqueue_struct *pykit_blk_wq;
void pykit_blk_trace_stage(struct virtio_device *vdev,
			   enum pykit_stage stage, int err);
int pykit_blk_start_again(struct virtio_device *vdev);

/* param.c */
int pykit_blk_choose_features(struct virtio_device *vdev);

/* vqs.c */
int pykit_blk_alloc_vqs(struct pykit_blk_dev *dev);
int pykit_blk_init_vqs(struct pykit_blk_dev *dev);
void pykit_blk_del_vqs(struct pykit_blk_dev *dev);

/* recover.c */
void pykit_blk_init_recovery(struct pykit_blk_dev *dev);
void pykit_blk_stop_recovery(struct pykit_blk_dev *dev);
bool pykit_blk_any_broken(struct pykit_blk_dev *dev);
void pykit_blk_broken(struct pykit_blk_dev *dev);
void pykit_blk_fail_outstanding(struct pykit_blk_dev *dev);
void pykit_blk_resume(struct pykit_blk_dev *dev);
enum blk_eh_timer_return pykit_blk_timeout(struct request *req);

/* limits.c */
int pykit_blk_read_limits(struct pykit_blk_dev *dev,
			  struct pykit_blk_limits *lim);
struct gendisk *pykit_blk_alloc_disk(struct pykit_blk_dev *dev,
				     const struct pykit_blk_limits *lim);
bool pykit_blk_write_cache(struct virtio_device *vdev);
int pykit_blk_set_write_cache(struct gendisk *disk, bool enable);
void pykit_blk_look_around(struct virtio_device *vdev);
void pykit_blk_look_at(struct virtio_device *vdev, unsigned int offset, unsigned int bytes);

/* disk.c */
extern const struct block_device_operations pykit_blk_disk_ops;
extern const struct attribute_group *pykit_blk_disk_groups[];

/* queue.c */
extern const struct blk_mq_ops pykit_blk_mq_ops;
void pykit_blk_vq_done(struct virtqueue *vq);
bool pykit_blk_reap(struct pykit_blk_vq *q);
void pykit_blk_undo_setup(struct request *req);
int pykit_blk_submit_drv_in(struct gendisk *disk, u32 type, u64 sector, void *buf,
			    unsigned int bytes);
int pykit_blk_add(struct pykit_blk_vq *q, struct pykit_blk_req *rq,
		  const struct pykit_blk_data *data,
		  struct pykit_blk_req *token);

/* answer.c */
void pykit_blk_mark(struct pykit_blk_req *rq, const struct pykit_blk_data *data);
void pykit_blk_note_change(struct pykit_blk_vq *q, struct pykit_blk_req *rq,
			   const struct pykit_blk_data *data);
void pykit_blk_note_end(struct pykit_blk_vq *q, struct pykit_blk_req *rq);
void pykit_blk_trace_answer(struct pykit_blk_vq *q, struct pykit_blk_req *rq);

/* config.c */
int pykit_blk_config_interpose(struct virtio_device *vdev);
void pykit_blk_config_frozen(struct virtio_device *vdev);
void pykit_blk_config_exit(void);

/* irq.c */
void pykit_blk_irq_init(void);
void pykit_blk_irq_exit(void);

#endif /* PYKIT_BLK_H */
