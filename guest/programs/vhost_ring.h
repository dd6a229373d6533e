/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver of /dev/vhost-pykit in a program, shared by its files.
 *
 * vhost_ring.c			the command line
 * vhost_ring_data.c		requests whose data is verified
 * vhost_ring_checks.c		what has to be refused, and how
 * vhost_ring_malformed.c	random rings that are not as they should be
 */
#ifndef VHOST_RING_H
#define VHOST_RING_H

#include <endian.h>
#include <linux/types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "../../kernel/include/uapi/linux/pykit_vhost.h"

#define QUEUE_SIZE	128
#define SECTOR		512
#define PAGE		4096

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Of kernels since 6.5; what the compiler is given may be older. */
#ifndef VHOST_NEW_WORKER
struct vhost_worker_state {
	unsigned int worker_id;
};

struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};

#define VHOST_NEW_WORKER _IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER _IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER _IOW(VHOST_VIRTIO, 0x15, struct vhost_vring_worker)
#endif

/*
 * What the device reads is little-endian, whatever this machine is: the compiler converts these,
 * and indices, flags and events are converted where they are read and written.
 */
#define LE	__attribute__((scalar_storage_order("little-endian")))

struct le_desc {
	__u64 addr;
	__u32 len;
	__u16 flags, next;
} LE;

struct le_used_elem {
	__u32 id, len;
} LE;

/* struct virtio_blk_outhdr */
struct le_blk_hdr {
	__u32 type, ioprio;
	__u64 sector;
} LE;

/* struct virtio_blk_discard_write_zeroes */
struct le_blk_range {
	__u64 sector;
	__u32 num_sectors, flags;
} LE;

/* A split virtqueue in memory. */
struct rings {
	union {
		struct le_desc desc[QUEUE_SIZE];
		char desc_page[PAGE];
	};
	union {
		struct {
			struct vring_avail avail;
			__u16 avail_ring[QUEUE_SIZE];
			__u16 used_event;
		};
		char avail_page[PAGE];
	};
	union {
		struct {
			struct vring_used used;
			struct le_used_elem used_ring[QUEUE_SIZE];
			__u16 avail_event;
		};
		char used_page[PAGE];
	};
};

/* vhost_ring.c */
noreturn void fail(const char *format, ...);
void must(int result, const char *what);
void *map(size_t bytes);
int open_device(const char *path);
int set_memory(int dev, __u64 bus, const void *memory, size_t bytes);
int set_rings(int dev, unsigned int queue, __u64 desc, __u64 avail, __u64 used,
	      __u64 log);
int set_kick(int dev, unsigned int queue, int kick, int call);
int set_features(int dev, __u64 wanted);

/* vhost_ring_data.c */
void run_data(unsigned int requests, bool tolerant);

/* vhost_ring_checks.c */
int run_checks(void);

/* vhost_ring_malformed.c */
int run_malformed(unsigned long count, unsigned int seed);

#endif /* VHOST_RING_H */
