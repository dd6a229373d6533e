/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vhost test driver, shared by its files.
 *
 * main.c	the character device and its ioctls
 * serve.c	virtqueues: chains taken, answered, signalled
 * request.c	block requests, from header to status byte
 * disk.c	where the data is: memory or a file
 * fault*.c	deliberate bugs, in the build with FAULT=1
 * layout.c	how the compiler laid out vhost's structures
 */
#ifndef PYKIT_VHOST_H
#define PYKIT_VHOST_H

#include <linux/blkdev.h>
#include <linux/sizes.h>
#include <linux/uio.h>
#include <linux/virtio_blk.h>
#include <linux/wait.h>

#include <trace/events/pykit.h>
#include <uapi/linux/pykit_vhost.h>

#include "../common/fault.h"
/* With the kernel's own vhost.h, private to drivers/vhost. */
#include "../compat/vhost.h"

/* Bounds of one discard or write-zeroes request, as the configuration says. */
#define PYKIT_VHOST_MAX_RANGES		16
#define PYKIT_VHOST_MAX_RANGE_BYTES	SZ_32M

/**
 * struct pykit_disk - where the data is
 * @memory: the contents, NULL if they are in a file
 * @file: the file, NULL if they are in memory
 * @bytes: length, 0 before there is a disk
 * @read_only: whether it cannot be written to
 */
struct pykit_disk {
	u8 *memory;
	struct file *file;
	u64 bytes;
	bool read_only;
};

/**
 * struct pykit_request - a block request that was taken from a queue
 * @out: what the driver has for the device, behind the header
 * @in: what the device has for the driver, without the status byte
 * @status: where the status byte goes
 * @readable: bytes of the chain that are to be read
 * @writable: bytes of the chain that are to be written
 * @sector: first sector
 * @type: request type
 */
struct pykit_request {
	struct iov_iter out;
	struct iov_iter in;
	u8 __user *status;
	size_t readable;
	size_t writable;
	u64 sector;
	u32 type;
};

/**
 * struct pykit_answer - a chain that is done with
 * @id: its head
 * @len: bytes written to it
 * @writable: bytes that could have been
 * @type: type of the block request
 * @status: its status byte
 */
struct pykit_answer {
	u32 id;
	u32 len;
	u32 writable;
	u32 type;
	u8 status;
};

/**
 * struct pykit_vhost_vq - a queue of an instance
 * @vq: vhost's part; its mutex serialises everything
 * @vqid: how trace events name this queue
 * @fault: what goes wrong with it in a build with FAULT=1, see fault.c
 */
struct pykit_vhost_vq {
	struct vhost_virtqueue vq;
	struct pykit_vq_id vqid;
	struct {
		unsigned int count;
		u32 last;
		u16 event;
		u8 __user *late;
		bool holds;
		struct pykit_answer held;
	} fault;
};

/**
 * struct pykit_vhost - one open file of /dev/vhost-pykit
 * @dev: vhost's part
 * @vqs: its queues
 * @vq_ptrs: the same, as vhost wants them
 * @disk: what they serve
 * @stopping: whether to serve no further request
 * @stop: woken up when that becomes so
 * @index: number of the instance, as trace events name it
 * @serves: index of the virtio device that is served, -1 if unknown
 *
 * Only ioctls change @disk, under @dev's mutex and while no queue is served; a
 * queue that is served reads it.
 */
struct pykit_vhost {
	struct vhost_dev dev;
	struct pykit_vhost_vq vqs[PYKIT_VHOST_MAX_QUEUES];
	struct vhost_virtqueue *vq_ptrs[PYKIT_VHOST_MAX_QUEUES];
	struct pykit_disk disk;
	bool stopping;
	wait_queue_head_t stop;
	int index;
	s64 serves;
};

/* serve.c */
void pykit_vhost_handle_kick(struct vhost_work *work);
int pykit_vhost_answer(struct pykit_vhost_vq *q, const struct pykit_answer *a);
void __user *pykit_vhost_ring(struct vhost_virtqueue *vq, void __user *at,
			      enum vhost_uaddr_type type);

/* request.c */
int pykit_vhost_request_parse(struct vhost_virtqueue *vq, unsigned int out,
			      unsigned int in, struct pykit_request *rq);
void pykit_vhost_request_serve(struct pykit_vhost *v, struct pykit_vhost_vq *q,
			       struct pykit_request *rq, struct pykit_answer *answer);

/* disk.c */
int pykit_vhost_disk_set(struct pykit_disk *disk, const struct pykit_vhost_disk *want);
void pykit_vhost_disk_drop(struct pykit_disk *disk);
bool pykit_vhost_disk_holds(const struct pykit_disk *disk, u64 sector, u64 bytes);
bool pykit_vhost_disk_read(struct pykit_disk *disk, u64 sector, struct iov_iter *to);
bool pykit_vhost_disk_write(struct pykit_disk *disk, u64 sector, struct iov_iter *from);
bool pykit_vhost_disk_flush(struct pykit_disk *disk);
bool pykit_vhost_disk_zero(struct pykit_disk *disk, u64 sector, u64 bytes, bool free);
bool pykit_vhost_disk_discard(struct pykit_disk *disk, u64 sector, u64 bytes);

/* fault.c and fault_disk.c: called by pykit_fault_call() and pykit_fault_result() */
int pykit_vhost_fault_init(void);
void pykit_vhost_fault_start(struct pykit_vhost_vq *q);
u64 pykit_vhost_fault_features(u64 features);
void pykit_vhost_fault_config(struct virtio_blk_config *config);
bool pykit_vhost_fault_serve(struct pykit_vhost_vq *q, struct pykit_request *rq, u8 *status);
bool pykit_vhost_fault_status(struct pykit_vhost_vq *q, const struct pykit_request *rq, u8 *status);
int pykit_vhost_fault_answer(struct pykit_vhost *v, struct pykit_vhost_vq *q,
			     struct pykit_answer *answer);
int pykit_vhost_fault_settle(struct pykit_vhost_vq *q);
bool pykit_vhost_fault_kicked(struct pykit_vhost_vq *q);
bool pykit_vhost_fault_signal(struct pykit_vhost_vq *q, const struct pykit_signal *signal,
			      bool needed);

#endif /* PYKIT_VHOST_H */
