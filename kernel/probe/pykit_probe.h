/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The probe, which traces an unmodified virtio driver; shared by its files.
 *
 * main.c	the module, and which devices it watches
 * hook.c	functions of the core, redirected to this module
 * device.c	devices: drivers that come and go
 * queue.c	virtqueues: the core's operations
 * blk.c	block requests, read from their chains
 */
#ifndef PYKIT_PROBE_H
#define PYKIT_PROBE_H

#include <linux/virtio.h>
#include <pykit_config.h>
#include <pykit_ring.h>

#include "../common/hook.h"

struct pykit_probe_blk;

/**
 * struct pykit_probe_queue - a virtqueue that is watched
 * @node: in the table of all that are
 * @gone: in the list of those that are forgotten
 * @ring: the ring
 * @blk: requests under way, NULL if the device is no block device
 * @joining: it was in use before, and where it stands is not known yet
 * @taking: a used entry is being taken
 * @enabling: interrupts are being asked for
 * @kicking: who is in virtqueue_kick(), before the decision
 * @ringing: who is in virtqueue_kick(), after it
 */
struct pykit_probe_queue {
	struct hlist_node node;
	struct hlist_node gone;
	struct pykit_ring ring;
	struct pykit_probe_blk *blk;
	bool joining;
	bool taking;
	bool enabling;
	unsigned long kicking;
	unsigned long ringing;
};

/* main.c */
extern bool pykit_probe_canaries;
bool pykit_probe_chosen(const struct virtio_device *vdev);

/* device.c */
int pykit_probe_device_init(void);
void pykit_probe_device_join(void);
void pykit_probe_device_leave(void);
void pykit_probe_device_exit(void);

/* queue.c */
int pykit_probe_queue_init(void);
void pykit_probe_queues_found(struct virtio_device *vdev, unsigned int count);
void pykit_probe_queues_join(struct virtio_device *vdev);
void pykit_probe_queues_deleted(struct virtio_device *vdev);
void pykit_probe_queue_disabled(struct virtqueue *vq);
void pykit_probe_queue_enabled(struct virtqueue *vq);
void pykit_probe_queues_leave(void);
void pykit_probe_queues_exit(void);

/* blk.c */
struct pykit_probe_blk *pykit_probe_blk_alloc(const struct pykit_ring *r);
void pykit_probe_blk_free(struct pykit_probe_blk *blk);
void pykit_probe_blk_mark(struct pykit_probe_queue *q, const struct pykit_sgs *s);
void pykit_probe_blk_unmark(struct pykit_probe_queue *q);
void pykit_probe_blk_start(struct pykit_probe_queue *q, const struct pykit_sgs *s,
			   unsigned int count);
void pykit_probe_blk_look(struct pykit_probe_queue *q, const struct pykit_used *used);
void pykit_probe_blk_done(struct pykit_probe_queue *q, const struct pykit_used *used,
			  const void *token);

#endif /* PYKIT_PROBE_H */
