/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Joins a virtio device to a vhost back-end of the same kernel.
 *
 * loopback.c			the command line
 * loopback_transport.c		the device, by /dev/pykit-loopback
 * loopback_vduse.c		the device, by VDUSE
 * loopback_vhost.c		what all back-ends have in common
 * loopback_blk.c		pykit_vhost's block back-end
 * loopback_net.c		vhost_net
 * loopback_scsi.c		vhost_scsi
 * loopback_vsock.c		vhost_vsock
 * loopback_checks.c		what /dev/pykit-loopback has to refuse
 */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <endian.h>
#include <linux/pykit_loopback.h>
#include <linux/pykit_vhost.h>
#include <linux/types.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define BIT(n)		(1ULL << (n))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX_REGIONS	64
#define MAX_OFFLOADS	16

/* What the ring and the transport are about; other bits are the device's. */
#define TRANSPORT_BITS	(BIT(42) - BIT(24))

struct device;

/**
 * struct back_end - a kind of vhost device
 * @name: on the command line
 * @open: open it as device.vhost and describe the device: id, features that go
 *	beyond vhost's own, queues, configuration space
 * @start: serve the queues, which are set up, for the virtio device of an index
 * @stop: serve no queue any more
 */
struct back_end {
	const char *name;
	void (*open)(struct device *d);
	void (*start)(struct device *d, __u32 index);
	void (*stop)(struct device *d);
};

/**
 * struct way - a way to make a virtio device
 * @name: on the command line
 * @features: bits of TRANSPORT_BITS that it can keep
 * @run: make the device, and call serve() and rest() as its driver wants it
 */
struct way {
	const char *name;
	__u64 features;
	void (*run)(struct device *d);
};

/**
 * struct options - the command line
 * @mib: size of a disk
 * @queues: how many queues that carry requests
 * @size: descriptors of a queue
 * @drop: one in so many interrupts is not delivered
 * @delay: one in so many interrupts is late
 * @delay_ms: by how much
 * @fake: one in so many interrupts is followed by one without a reason
 * @drain_ms: how often what was not delivered is
 * @name: of the tap, the target or the vDPA device
 * @bounce_mib: memory to copy buffers through
 * @cid: context id of the guest's end of vsock
 */
struct options {
	unsigned int mib;
	unsigned int queues;
	unsigned int size;
	unsigned int drop;
	unsigned int delay;
	unsigned int delay_ms;
	unsigned int fake;
	unsigned int drain_ms;
	unsigned int bounce_mib;
	const char *name;
	unsigned int cid;
};

/**
 * struct region - memory of the driver
 * @at: where it is for the driver
 * @bytes: its length
 * @here: where it is for us
 */
struct region {
	__u64 at;
	__u64 bytes;
	void *here;
};

/**
 * struct device - the device, from both sides
 * @options: what is wanted
 * @way: how its driver's side is made
 * @back_end: what its other side is
 * @about: what the driver sees of it
 * @served: how many of its queues the back-end serves, from the first one on
 * @vhost: the back-end's file
 * @offered: what the back-end offers
 * @kick: by queue: eventfds from the driver
 * @call: by queue: eventfds to the driver
 * @regions: memory of the driver
 * @num_regions: how many
 */
struct device {
	struct options options;
	const struct way *way;
	const struct back_end *back_end;
	struct pykit_loopback_device about;
	unsigned int served;
	int vhost;
	__u64 offered;
	int kick[PYKIT_LOOPBACK_MAX_QUEUES];
	int call[PYKIT_LOOPBACK_MAX_QUEUES];
	struct region regions[MAX_REGIONS];
	unsigned int num_regions;
};

extern const struct way transport;
extern const struct way vduse;
extern const struct back_end blk;
extern const struct back_end net;
extern const struct back_end scsi;
extern const struct back_end vsock;

/* loopback.c */
void say(const char *format, ...);
noreturn void fail(const char *format, ...);
int must(int result, const char *what);

/* loopback_checks.c */
int run_checks(void);

/* loopback_vhost.c */
void open_vhost(struct device *d, const char *path);
void tell_probe(__u32 index);
void add_queues(struct device *d, unsigned int count);
void serve(struct device *d, const struct pykit_loopback_state *state);
void rest(struct device *d);

#endif /* LOOPBACK_H */
