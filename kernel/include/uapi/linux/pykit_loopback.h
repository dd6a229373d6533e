/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/pykit-loopback: a virtio device whose device side is a vhost back-end of
 * the same kernel. One open file is one device; the process that has it open
 * joins the two.
 *
 * PYKIT_LOOPBACK_SET_EVENTS, for each queue, then PYKIT_LOOPBACK_CREATE make the
 * device; its driver is probed while the caller goes on. From then on poll()
 * says POLLIN whenever the driver has started or reset the device and the caller
 * has not acted on it: PYKIT_LOOPBACK_STATE returns the state to enter, and
 * PYKIT_LOOPBACK_DONE, with the state's serial, confirms it. A driver that
 * resets the device waits for that. POLLERR says that there is no device.
 *
 * mmap() at the physical address of memory gives that memory: a range of
 * "System RAM" in /proc/iomem, or a part of one. Ring and buffer addresses are
 * such addresses. A device with VIRTIO_F_ACCESS_PLATFORM has its buffers bounced
 * instead: addresses and what can be mapped are offsets into @bounce_mib of memory.
 *
 * When the file and its mappings are gone, the device goes. What its driver
 * still waits for, and what it submits until it has let go, is answered as the
 * queue's description says.
 */
#ifndef _UAPI_LINUX_PYKIT_LOOPBACK_H
#define _UAPI_LINUX_PYKIT_LOOPBACK_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vhost.h>

#define PYKIT_LOOPBACK_DEV		"/dev/pykit-loopback"
#define PYKIT_LOOPBACK_MAX_QUEUES	16
#define PYKIT_LOOPBACK_MAX_CONFIG	256
#define PYKIT_LOOPBACK_MAX_DELAY_MS	10000
#define PYKIT_LOOPBACK_MAX_BOUNCE_MIB	256

/* For @answer_at: the last byte that the device may write. */
#define PYKIT_LOOPBACK_LAST		0xffffffff

/**
 * struct pykit_loopback_queue - a queue of a device
 * @size: most descriptors, a power of two
 * @answer_at: which of the bytes that the device may write says that a request
 *	has failed
 * @answer: what it is then
 * @answers: whether to answer requests at all when the back-end is gone
 */
struct pykit_loopback_queue {
	__u32 size;
	__u32 answer_at;
	__u8 answer;
	__u8 answers;
	__u16 reserved;
};

/**
 * struct pykit_loopback_device - a device that is to be
 * @features: what it offers, VIRTIO_F_VERSION_1 among it
 * @id: virtio device id
 * @num_queues: how many of @queues are described
 * @config_len: length of @config
 * @drop_every: one in so many interrupts is not delivered; 0 for none
 * @delay_every: one in so many interrupts is late; 0 for none
 * @delay_ms: by how much
 * @fake_every: one in so many interrupts is followed by one without a reason;
 *	0 for none
 * @bounce_mib: memory that buffers are copied through; 0 for none
 * @config: configuration space
 * @queues: its queues
 */
struct pykit_loopback_device {
	__u64 features;
	__u32 id;
	__u32 num_queues;
	__u32 config_len;
	__u32 drop_every;
	__u32 delay_every;
	__u32 delay_ms;
	__u32 fake_every;
	__u32 bounce_mib;
	__u8 config[PYKIT_LOOPBACK_MAX_CONFIG];
	struct pykit_loopback_queue queues[PYKIT_LOOPBACK_MAX_QUEUES];
};

/**
 * struct pykit_loopback_ring - a queue as its driver set it up
 * @desc: physical address of the descriptor table
 * @avail: physical address of the available ring
 * @used: physical address of the used ring
 * @size: number of descriptors, 0 if the queue is not in use
 */
struct pykit_loopback_ring {
	__u64 desc;
	__u64 avail;
	__u64 used;
	__u32 size;
	__u32 reserved;
};

/**
 * struct pykit_loopback_state - what the device is to be
 * @features: what its driver has accepted
 * @serial: number of this state
 * @index: of the virtio device
 * @running: whether its queues are to be served
 * @rings: its queues
 */
struct pykit_loopback_state {
	__u64 features;
	__u32 serial;
	__u32 index;
	__u32 running;
	__u32 reserved;
	struct pykit_loopback_ring rings[PYKIT_LOOPBACK_MAX_QUEUES];
};

/**
 * struct pykit_loopback_events - the eventfds of a queue
 * @queue: its index
 * @kick: signalled when the driver notifies the device
 * @call: interrupts the driver when it is signalled
 */
struct pykit_loopback_events {
	__u32 queue;
	__s32 kick;
	__s32 call;
};

/**
 * struct pykit_loopback_config - a change of the configuration space
 * @offset: where
 * @len: how many bytes
 * @data: what they are now
 */
struct pykit_loopback_config {
	__u32 offset;
	__u32 len;
	__u8 data[PYKIT_LOOPBACK_MAX_CONFIG];
};

#define PYKIT_LOOPBACK_SET_EVENTS \
	_IOW(VHOST_VIRTIO, 0xE8, struct pykit_loopback_events)
#define PYKIT_LOOPBACK_CREATE \
	_IOW(VHOST_VIRTIO, 0xE9, struct pykit_loopback_device)
#define PYKIT_LOOPBACK_STATE \
	_IOR(VHOST_VIRTIO, 0xEA, struct pykit_loopback_state)
#define PYKIT_LOOPBACK_DONE	_IOW(VHOST_VIRTIO, 0xEB, __u32)
#define PYKIT_LOOPBACK_SET_CONFIG \
	_IOW(VHOST_VIRTIO, 0xEC, struct pykit_loopback_config)
/* Interrupt the driver for every queue: what was not delivered comes now. */
#define PYKIT_LOOPBACK_DRAIN	_IO(VHOST_VIRTIO, 0xED)

#endif /* _UAPI_LINUX_PYKIT_LOOPBACK_H */
