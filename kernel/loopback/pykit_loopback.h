/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loopback, shared by its files.
 *
 * main.c	the character device: what the joining process asks for
 * device.c	the virtio device: what its driver asks for
 * queue.c	virtqueues: kicks, calls, interrupts
 * bounce.c	memory that buffers are copied through
 * answer.c	what becomes of requests when the back-end is gone
 */
#ifndef PYKIT_LOOPBACK_H
#define PYKIT_LOOPBACK_H

#include <linux/eventfd.h>
#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <uapi/linux/pykit_loopback.h>

struct pykit_bounce;
struct pykit_loopback;

/**
 * struct pykit_loopback_vq - a queue of a device
 * @device: whose it is
 * @about: what the joining process said of it
 * @kick: signalled for the back-end
 * @call: eventfd that the back-end signals
 * @wait: entry in the wait queue of @call
 * @wqh: that wait queue
 * @table: gets @wait into it
 * @called: the back-end has signalled; decides what becomes of the interrupt
 * @deliver: interrupts the driver
 * @late: delivers an interrupt that was delayed
 * @calls: how often @called ran
 * @lock: guards what follows
 * @vq: the core's part, NULL while the queue is not set up
 * @ring: addresses of the same
 * @vring: where the ring is
 * @pending: for each head, how often it was made available and not returned
 * @seen_avail: available index up to which @pending is true
 * @seen_used: used index up to which @pending is true
 * @lost: whether @pending missed something
 */
struct pykit_loopback_vq {
	struct pykit_loopback *device;
	struct pykit_loopback_queue about;
	struct eventfd_ctx *kick;
	struct file *call;
	wait_queue_entry_t wait;
	wait_queue_head_t *wqh;
	poll_table table;
	struct irq_work called;
	struct irq_work deliver;
	struct delayed_work late;
	unsigned int calls;
	/* Taken with interrupts off: a driver may notify from its callback. */
	spinlock_t lock;
	struct virtqueue *vq;
	struct pykit_loopback_ring ring;
	const struct vring *vring;
	s16 *pending;
	u16 seen_avail;
	u16 seen_used;
	bool lost;
};

/**
 * struct pykit_loopback - one open file of /dev/pykit-loopback
 * @vdev: the virtio device, if @created
 * @parent: its parent device
 * @bounce: memory that its buffers are copied through, or NULL
 * @ref: held by the file and by the virtio device
 * @about: what the joining process said of the device
 * @lock: guards what follows, where nothing else is said
 * @created: whether a device was asked for
 * @failed: there is no device: it could not be registered
 * @running: between DRIVER_OK and reset
 * @gone: set once, when the last open file was closed
 * @status: status byte
 * @generation: of the configuration space
 * @serial: number of the state that is wanted
 * @done: number of the state that the joining process has come to
 * @changed: woken up when @serial, @done, @failed or @gone have changed
 * @begin: registers the device
 * @end: unregisters it
 * @vqs: its queues
 */
struct pykit_loopback {
	struct virtio_device vdev;
	struct platform_device *parent;
	struct pykit_bounce *bounce;
	struct kref ref;
	struct pykit_loopback_device about;
	/* Taken by the driver's calls and by ioctls, which all may sleep. */
	struct mutex lock;
	bool created;
	bool failed;
	bool running;
	bool gone;
	u8 status;
	u32 generation;
	u32 serial;
	u32 done;
	wait_queue_head_t changed;
	struct work_struct begin;
	struct work_struct end;
	struct pykit_loopback_vq vqs[PYKIT_LOOPBACK_MAX_QUEUES];
};

/* main.c */
extern struct workqueue_struct *pykit_loopback_wq;
void pykit_loopback_put(struct pykit_loopback *l);

/* device.c */
int pykit_loopback_create(struct pykit_loopback *l);
void pykit_loopback_destroy(struct pykit_loopback *l);

/* queue.c */
void pykit_loopback_queue_init(struct pykit_loopback_vq *q, struct pykit_loopback *l);
int pykit_loopback_queue_events(struct pykit_loopback_vq *q, int kick, int call);
void pykit_loopback_queue_release(struct pykit_loopback_vq *q);
struct virtqueue *pykit_loopback_queue_set_up(struct pykit_loopback_vq *q,
					      vq_callback_t *callback, const char *name,
					      bool ctx);
void pykit_loopback_queue_delete(struct pykit_loopback_vq *q);
void pykit_loopback_queue_quiesce(struct pykit_loopback_vq *q);

/* bounce.c */
int pykit_loopback_bounce_create(struct pykit_loopback *l, size_t bytes);
void pykit_loopback_bounce_free(struct pykit_loopback *l);
int pykit_loopback_bounce_mmap(struct pykit_loopback *l, struct vm_area_struct *vma);
void *pykit_loopback_bounce_at(struct pykit_loopback *l, u64 addr);

/* answer.c */
int pykit_loopback_answer_start(struct pykit_loopback_vq *q);
void pykit_loopback_answer_stop(struct pykit_loopback_vq *q);
void pykit_loopback_answer_track(struct pykit_loopback_vq *q);
void pykit_loopback_answer_pending(struct pykit_loopback_vq *q);

#endif /* PYKIT_LOOPBACK_H */
