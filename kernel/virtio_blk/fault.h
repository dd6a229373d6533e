/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Deliberate bugs. Other files call these functions by pykit_fault_call() and
 * pykit_fault_result(): without FAULT=1 there is no fault.c.
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

/**
 * struct pykit_blk_fault_state - what goes wrong on a queue
 * @late_kick: sends a notification that was withheld
 * @kicks: kicks that were needed
 * @used: used entries that were taken
 * @rqs: the driver's own requests, while they are under way
 * @id: where they read the identity into
 * @done: completed for each of them
 * @armed: whether what is made available next is damaged
 * @head: head of the chain that is damaged
 * @next: its link that was overwritten
 * @returned: how often the device has returned a head that was used again
 */
struct pykit_blk_fault_state {
#ifdef PYKIT_FAULT
	struct delayed_work late_kick;
	unsigned int kicks;
	unsigned int used;
	struct pykit_blk_req *rqs[2];
	char *id;
	struct completion done;
	bool armed;
	u16 head;
	__virtio16 next;
	unsigned int returned;
#endif
};

int pykit_blk_fault_init(void);
void pykit_blk_fault_validate(struct virtio_device *vdev);
void pykit_blk_fault_init_queue(struct pykit_blk_vq *q);
int pykit_blk_fault_before_ready(struct pykit_blk_dev *dev);
int pykit_blk_fault_after_ready(struct pykit_blk_dev *dev);
void pykit_blk_fault_stop(struct pykit_blk_dev *dev);
void pykit_blk_fault_damage(struct pykit_blk_vq *q);
void pykit_blk_fault_undo(struct pykit_blk_vq *q);
bool pykit_blk_fault_withhold(struct pykit_blk_vq *q);
void pykit_blk_fault_before_get(struct pykit_blk_vq *q, const struct pykit_used *used);
bool pykit_blk_fault_take_again(struct pykit_blk_vq *q);
u8 pykit_blk_fault_status_write(u8 status);
u8 pykit_blk_fault_status_read(u8 status);

#endif /* PYKIT_BLK_FAULT_H */
