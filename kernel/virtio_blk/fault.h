/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Deliberate bugs. Other files call these functions by pykit_fault_call() and
 * pykit_fault_result(): without FAULT=1 there are no fault files.
 *
 * fault.c		the list of all bugs, and when each has its turn
 * fault_negotiate.c	what goes wrong in negotiation
 * fault_ring.c		what goes wrong in ring memory
 * fault_request.c	requests of the driver's own that are wrong
 */
#ifndef PYKIT_BLK_FAULT_H
#define PYKIT_BLK_FAULT_H

#include <linux/completion.h>
#include <linux/workqueue.h>
#include <pykit_ring.h>

#include "../common/fault.h"

struct pykit_blk_dev;
struct pykit_blk_req;
struct pykit_blk_vq;

#define PYKIT_BLK_FAULT_RANGES	2

/**
 * struct pykit_blk_fault_range - a range to discard or zero
 * @sector: first sector
 * @sectors: length
 * @flags: VIRTIO_BLK_WRITE_ZEROES_FLAG_…
 */
struct pykit_blk_fault_range {
	u64 sector;
	u32 sectors;
	u32 flags;
};

/**
 * struct pykit_blk_fault_request - a request of the driver's own
 * @type: its type
 * @sector: its sector
 * @bytes: length of its data
 * @write: whether the device reads these
 * @segments: how many ranges the data are; none for other types
 * @ranges: the ranges
 */
struct pykit_blk_fault_request {
	u32 type;
	u64 sector;
	u32 bytes;
	bool write;
	u16 segments;
	struct pykit_blk_fault_range ranges[PYKIT_BLK_FAULT_RANGES];
};

enum pykit_blk_fault_layout {
	PYKIT_BLK_FAULT_ANY,
	PYKIT_BLK_FAULT_SPLIT,
	PYKIT_BLK_FAULT_PACKED,
};

/**
 * struct pykit_blk_fault - a deliberate bug; what it has no part in is NULL
 * @name: what the parameter calls it
 * @layout: layout of the ring that it needs
 * @direct: without INDIRECT_DESC
 * @twice: what is damaged is the second one of two requests
 * @negotiate: goes wrong in validate()
 * @set_up: damages a ring that was just set up
 * @damage: damages the chain of a request of the driver's own
 * @request: another request than GET_ID, wrong as it is
 * @before_ready: goes wrong before DRIVER_OK
 * @callback: goes wrong behind a switch of callbacks
 * @kick: decides on a notification; gets whether one is needed
 * @ready: goes wrong behind DRIVER_OK
 * @stop: goes wrong before a device is reset that is let go
 * @reset: goes wrong behind that reset
 * @used_again: whether an entry that was taken is taken again
 * @trusts_status: a status counts that lies behind the used length
 * @waits_for_broken: requests of a device that needs a reset are waited for
 * @status_write: what is written instead of a status
 * @status_read: what the core gets instead of it
 */
struct pykit_blk_fault {
	const char *name;
	enum pykit_blk_fault_layout layout;
	bool direct;
	bool twice;
	void (*negotiate)(struct virtio_device *vdev);
	void (*set_up)(struct pykit_blk_vq *q);
	void (*damage)(struct pykit_blk_vq *q);
	const struct pykit_blk_fault_request *request;
	void (*before_ready)(struct pykit_blk_vq *q);
	void (*callback)(struct pykit_blk_vq *q);
	bool (*kick)(struct pykit_blk_vq *q, bool needed);
	void (*ready)(struct virtio_device *vdev);
	void (*stop)(struct pykit_blk_vq *q);
	void (*reset)(struct pykit_blk_vq *q);
	bool (*used_again)(struct pykit_blk_vq *q);
	bool trusts_status;
	bool waits_for_broken;
	u8 (*status_write)(u8 status);
	u8 (*status_read)(u8 status);
};

#define PYKIT_BLK_FAULT_PATCHES	6

/**
 * struct pykit_blk_fault_patch - memory that was damaged, and is to be repaired
 * @at: where
 * @bytes: how much
 * @old: what was there
 */
struct pykit_blk_fault_patch {
	void *at;
	size_t bytes;
	u64 old;
};

/**
 * struct pykit_blk_fault_state - what goes wrong on a queue
 * @late_kick: sends a notification that was withheld
 * @kicks: kicks that were needed
 * @used: used entries that were taken
 * @rqs: the driver's own requests, while they are under way
 * @data: their data
 * @done: completed for each of them
 * @armed: whether what is made available next is damaged
 * @head: head of the chain that is damaged
 * @patches: what was damaged
 * @num_patches: how much of it
 * @returned: how often the device has returned a head that was used again
 */
struct pykit_blk_fault_state {
#ifdef PYKIT_FAULT
	struct delayed_work late_kick;
	unsigned int kicks;
	unsigned int used;
	struct pykit_blk_req *rqs[2];
	void *data;
	struct completion done;
	bool armed;
	u16 head;
	struct pykit_blk_fault_patch patches[PYKIT_BLK_FAULT_PATCHES];
	unsigned int num_patches;
	unsigned int returned;
#endif
};

/* fault.c */
int pykit_blk_fault_init(void);
void pykit_blk_fault_validate(struct virtio_device *vdev);
void pykit_blk_fault_init_queue(struct pykit_blk_vq *q);
void pykit_blk_fault_set_up(struct pykit_blk_vq *q);
int pykit_blk_fault_before_ready(struct pykit_blk_dev *dev);
int pykit_blk_fault_after_ready(struct pykit_blk_dev *dev);
void pykit_blk_fault_before_reset(struct pykit_blk_dev *dev);
void pykit_blk_fault_after_reset(struct pykit_blk_dev *dev);
void pykit_blk_fault_stop(struct pykit_blk_dev *dev);
void pykit_blk_fault_damage(struct pykit_blk_vq *q);
void pykit_blk_fault_undo(struct pykit_blk_vq *q);
bool pykit_blk_fault_kick(struct pykit_blk_vq *q, bool needed);
void pykit_blk_fault_callback(struct pykit_blk_vq *q);
void pykit_blk_fault_before_get(struct pykit_blk_vq *q, const struct pykit_used *used);
bool pykit_blk_fault_used_again(struct pykit_blk_vq *q);
bool pykit_blk_fault_trusts_status(void);
bool pykit_blk_fault_wait(struct pykit_blk_dev *dev);
u8 pykit_blk_fault_status_write(u8 status);
u8 pykit_blk_fault_status_read(u8 status);

/* fault_negotiate.c */
void pykit_blk_fault_not_offered(struct virtio_device *vdev);
void pykit_blk_fault_undefined(struct virtio_device *vdev);
void pykit_blk_fault_reserved(struct virtio_device *vdev);
void pykit_blk_fault_of_other_type(struct virtio_device *vdev);
void pykit_blk_fault_not_packed(struct virtio_device *vdev);
void pykit_blk_fault_features_late(struct virtio_device *vdev);
void pykit_blk_fault_two_steps(struct virtio_device *vdev);
void pykit_blk_fault_no_acknowledge(struct virtio_device *vdev);
void pykit_blk_fault_failed(struct virtio_device *vdev);
void pykit_blk_fault_field_not_offered(struct virtio_device *vdev);
void pykit_blk_fault_writeback_early(struct virtio_device *vdev);
void pykit_blk_fault_config_written(struct virtio_device *vdev);
void pykit_blk_fault_no_generation(struct virtio_device *vdev);
void pykit_blk_fault_no_ring_reset(struct virtio_device *vdev);
void pykit_blk_fault_features_ready(struct virtio_device *vdev);
void pykit_blk_fault_field_written(struct virtio_device *vdev);
void pykit_blk_fault_capacity_written(struct virtio_device *vdev);
void pykit_blk_fault_writeback_undefined(struct virtio_device *vdev);
u8 pykit_blk_fault_no_features_ok(u8 status);
u8 pykit_blk_fault_claim_features_ok(u8 status);
u8 pykit_blk_fault_drop_acknowledge(u8 status);

/* fault_ring.c */
void pykit_blk_fault_repair(struct pykit_blk_vq *q);
void pykit_blk_fault_used_flags(struct pykit_blk_vq *q);
void pykit_blk_fault_indices(struct pykit_blk_vq *q);
void pykit_blk_fault_loop(struct pykit_blk_vq *q);
void pykit_blk_fault_next_outside(struct pykit_blk_vq *q);
void pykit_blk_fault_head_outside(struct pykit_blk_vq *q);
void pykit_blk_fault_head_lost(struct pykit_blk_vq *q);
void pykit_blk_fault_head_reuse(struct pykit_blk_vq *q);
void pykit_blk_fault_shared(struct pykit_blk_vq *q);
void pykit_blk_fault_idx_step(struct pykit_blk_vq *q);
void pykit_blk_fault_idx_back(struct pykit_blk_vq *q);
void pykit_blk_fault_idx_far(struct pykit_blk_vq *q);
void pykit_blk_fault_header_short(struct pykit_blk_vq *q);
void pykit_blk_fault_header_long(struct pykit_blk_vq *q);
void pykit_blk_fault_header_writable(struct pykit_blk_vq *q);
void pykit_blk_fault_data_empty(struct pykit_blk_vq *q);
void pykit_blk_fault_status_not_last(struct pykit_blk_vq *q);
void pykit_blk_fault_status_missing(struct pykit_blk_vq *q);
void pykit_blk_fault_status_readable(struct pykit_blk_vq *q);
void pykit_blk_fault_write_first(struct pykit_blk_vq *q);
void pykit_blk_fault_status_in_data(struct pykit_blk_vq *q);
void pykit_blk_fault_data_in_ring(struct pykit_blk_vq *q);
void pykit_blk_fault_flag_undefined(struct pykit_blk_vq *q);
void pykit_blk_fault_nothing(struct pykit_blk_vq *q);
void pykit_blk_fault_too_long(struct pykit_blk_vq *q);
void pykit_blk_fault_no_table(struct pykit_blk_vq *q);
void pykit_blk_fault_table_odd(struct pykit_blk_vq *q);
void pykit_blk_fault_table_empty(struct pykit_blk_vq *q);
void pykit_blk_fault_table_linked(struct pykit_blk_vq *q);
void pykit_blk_fault_table_nested(struct pykit_blk_vq *q);
void pykit_blk_fault_table_left(struct pykit_blk_vq *q);
void pykit_blk_fault_wrap(struct pykit_blk_vq *q);
void pykit_blk_fault_not_linked(struct pykit_blk_vq *q);
void pykit_blk_fault_avail_flags(struct pykit_blk_vq *q);
void pykit_blk_fault_event_flags(struct pykit_blk_vq *q);

/* fault_request.c */
extern const struct pykit_blk_fault_request pykit_blk_get_id_long;
extern const struct pykit_blk_fault_request pykit_blk_flush_sector;
extern const struct pykit_blk_fault_request pykit_blk_flush_data;
extern const struct pykit_blk_fault_request pykit_blk_write_odd;
extern const struct pykit_blk_fault_request pykit_blk_write_beyond;
extern const struct pykit_blk_fault_request pykit_blk_write_wraps;
extern const struct pykit_blk_fault_request pykit_blk_type_undefined;
extern const struct pykit_blk_fault_request pykit_blk_type_not_negotiated;
extern const struct pykit_blk_fault_request pykit_blk_discard_unmap;
extern const struct pykit_blk_fault_request pykit_blk_discard_odd;
extern const struct pykit_blk_fault_request pykit_blk_discard_many;
extern const struct pykit_blk_fault_request pykit_blk_discard_beyond;
extern const struct pykit_blk_fault_request pykit_blk_discard_wraps;
extern const struct pykit_blk_fault_request pykit_blk_zeroes_many;
extern const struct pykit_blk_fault_request pykit_blk_zeroes_long;
int pykit_blk_fault_send(struct pykit_blk_vq *q, const struct pykit_blk_fault *fault);
void pykit_blk_fault_detach(struct pykit_blk_vq *q);
void pykit_blk_fault_free(struct pykit_blk_vq *q);

#endif /* PYKIT_BLK_FAULT_H */
