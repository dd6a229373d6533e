// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has to be refused is, and how; and what a device has to live through.
 *
 * The errno that is expected is the one of the kernel's own vhost drivers: where
 * /dev/vhost-vsock is there, it is asked the same and has to answer the same. What
 * is refused leaves one line in the kernel's log, and so does a close during I/O;
 * all else, and what the kernel's own driver refuses, leaves none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vhost_ring.h"

#define VSOCK		"/dev/vhost-vsock"
#define BUS		0x100000
#define DISK_BYTES	0x100000
#define BUFFER		65536

/* An answer may take so long, on a slow machine and of a device with delays. */
#define SOON_MS		8000

/* A stop or a close may not, whatever is in flight. */
#define PROMPT_MS	2000

/* The memory that the device gets; what follows it is not in its table. */
struct area {
	struct rings rings[2];
	/* Whole pages, as the rings are. */
	__u8 data[BUFFER];
	struct le_blk_hdr hdr[QUEUE_SIZE];
	struct le_desc table[QUEUE_SIZE];
	__u8 status[QUEUE_SIZE];
	__u8 rest[PAGE - QUEUE_SIZE];
};

/* A device that is driven. */
struct client {
	int dev;
	const char *path;
	struct area *area;
	int kick, call, error;
	__u16 avail_idx;
	bool runs;
};

static unsigned int number, wrong;
/* The lines of what went wrong once more, for whoever sees the last ones only. */
static char summary[4096];
static int kernel_log = -1;

/* Lines about vhost that the kernel has said since the last time; a splat is many. */
static int lines_logged(void)
{
	char line[4096];
	ssize_t length;
	int count = 0;

	while ((length = read(kernel_log, line, sizeof(line) - 1)) > 0 ||
	       (length < 0 && errno == EPIPE)) {
		if (length < 0)
			continue;
		line[length] = '\0';
		count += !!strstr(line, "vhost");
		if (strstr(line, "cut here") || strstr(line, "BUG:"))
			count += 100;
	}
	return count;
}

/* One line for a check; @what is nothing if all was well, but for @lines in the log. */
static void report(const char *name, const char *what, int lines)
{
	int said = lines_logged();

	if (!*what && said == lines) {
		printf("ok %u - %s\n", ++number, name);
	} else {
		size_t end = strlen(summary);

		wrong++;
		snprintf(summary + end, sizeof(summary) - end,
			 "not ok %u - %s # %s, %d lines in the log instead of %d\n",
			 ++number, name, what, said, lines);
		printf("%s", summary + end);
	}
	fflush(stdout);
}

static const char *error_name(int error)
{
	return error ? strerrorname_np(error) : "success";
}

static void expect(const char *name, int got, int want, int lines)
{
	char what[80] = "";

	if (got != want)
		snprintf(what, sizeof(what), "%s instead of %s", error_name(got),
			 error_name(want));
	report(name, what, lines);
}

static void expect_true(const char *name, bool holds)
{
	report(name, holds ? "" : "it does not", 0);
}

static int result(long value)
{
	return value < 0 ? errno : 0;
}

/* A device without an owner. */
static struct client bare(const char *path)
{
	struct client c = { .path = path };

	c.dev = open_device(path);
	c.area = map(sizeof(*c.area) + PAGE);
	c.kick = eventfd(0, EFD_NONBLOCK);
	c.call = eventfd(0, EFD_NONBLOCK);
	c.error = eventfd(0, EFD_NONBLOCK);
	return c;
}

static struct client owned(const char *path)
{
	struct client c = bare(path);

	must(ioctl(c.dev, VHOST_SET_OWNER), "VHOST_SET_OWNER");
	return c;
}

static int memory_of(struct client *c)
{
	return set_memory(c->dev, BUS, c->area, sizeof(*c->area));
}

static int rings_of(struct client *c, unsigned int queue)
{
	struct rings *rings = &c->area->rings[queue];
	struct vhost_vring_file error = { .index = queue, .fd = c->error };

	if (set_rings(c->dev, queue, (uintptr_t)rings->desc,
		      (uintptr_t)&rings->avail, (uintptr_t)&rings->used, 0) < 0 ||
	    set_kick(c->dev, queue, c->kick, c->call) < 0)
		return -1;
	return ioctl(c->dev, VHOST_SET_VRING_ERR, &error);
}

/* All that comes before a start. */
static struct client set_up(const char *path)
{
	__u64 features = 1ULL << VIRTIO_F_VERSION_1;
	struct client c = owned(path);

	must(memory_of(&c), "VHOST_SET_MEM_TABLE");
	if (!strcmp(path, PYKIT_VHOST_DEV))
		features |= 1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	must(set_features(c.dev, features), "VHOST_SET_FEATURES");
	must(rings_of(&c, 0), "rings");
	must(rings_of(&c, 1), "rings");
	return c;
}

static int start(struct client *c)
{
	__u64 bytes = DISK_BYTES;
	__u64 cid = 0x70796b;
	int on = 1;

	if (!strcmp(c->path, PYKIT_VHOST_DEV)) {
		c->runs = !ioctl(c->dev, PYKIT_VHOST_START, &bytes);
		return c->runs ? 0 : -1;
	}
	if (ioctl(c->dev, VHOST_VSOCK_SET_GUEST_CID, &cid) < 0)
		return -1;
	return ioctl(c->dev, VHOST_VSOCK_SET_RUNNING, &on);
}

static struct client running(const char *path)
{
	struct client c = set_up(path);

	must(start(&c), "start");
	return c;
}

/* Stopped before it is closed, else there is a line in the log. */
static void done(struct client *c)
{
	if (!strcmp(c->path, PYKIT_VHOST_DEV) && c->runs)
		must(ioctl(c->dev, PYKIT_VHOST_STOP), "PYKIT_VHOST_STOP");
	close(c->dev);
	close(c->kick);
	close(c->call);
	close(c->error);
	munmap(c->area, sizeof(*c->area) + PAGE);
}

/* Ioctls that fail, as (name, errno): each gets a device in some state. */

static int not_owned_memory(struct client *c)
{
	return memory_of(c);
}

static int not_owned_queue(struct client *c)
{
	struct vhost_vring_state num = { .num = 128 };

	return ioctl(c->dev, VHOST_SET_VRING_NUM, &num);
}

static int owned_twice(struct client *c)
{
	return ioctl(c->dev, VHOST_SET_OWNER);
}

/* The answer that another process gets. */
static int other_process(struct client *c)
{
	int status;
	pid_t pid = fork();

	must(pid, "fork");
	if (!pid)
		_exit(result(memory_of(c)));
	must(waitpid(pid, &status, 0), "waitpid");
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno ? -1 : 0;
}

static int features_unknown(struct client *c)
{
	__u64 features = 1ULL << 63;

	return ioctl(c->dev, VHOST_SET_FEATURES, &features);
}

static int features_bad_address(struct client *c)
{
	return ioctl(c->dev, VHOST_SET_FEATURES, 8);
}

static int features_log_without_base(struct client *c)
{
	__u64 features = 1ULL << VHOST_F_LOG_ALL;
	__u64 base = ~0xfffULL;

	must(ioctl(c->dev, VHOST_SET_LOG_BASE, &base), "VHOST_SET_LOG_BASE");
	must(ioctl(c->dev, VHOST_SET_FEATURES, &features), "VHOST_SET_FEATURES");
	return start(c);
}

static int backend_features_unknown(struct client *c)
{
	__u64 features = 1ULL << 40;

	return ioctl(c->dev, VHOST_SET_BACKEND_FEATURES, &features);
}

static int memory_bad_address(struct client *c)
{
	return ioctl(c->dev, VHOST_SET_MEM_TABLE, 8);
}

static int memory_padding(struct client *c)
{
	struct vhost_memory table = { .padding = 1 };

	return ioctl(c->dev, VHOST_SET_MEM_TABLE, &table);
}

static int memory_too_many(struct client *c)
{
	struct vhost_memory table = { .nregions = 60000 };

	return ioctl(c->dev, VHOST_SET_MEM_TABLE, &table);
}

static int memory_wraps(struct client *c)
{
	return set_memory(c->dev, ~0ULL - PAGE, c->area, 2 * PAGE);
}

static int ring_size(struct client *c, unsigned int size)
{
	struct vhost_vring_state num = { .num = size };

	return ioctl(c->dev, VHOST_SET_VRING_NUM, &num);
}

static int ring_size_zero(struct client *c)
{
	return ring_size(c, 0);
}

static int ring_size_odd(struct client *c)
{
	return ring_size(c, 96);
}

static int ring_size_too_big(struct client *c)
{
	return ring_size(c, 65536);
}

static int ring_size_again(struct client *c)
{
	must(ring_size(c, 128), "VHOST_SET_VRING_NUM");
	return ring_size(c, 64);
}

static int ring_size_running(struct client *c)
{
	return ring_size(c, 64);
}

static int no_such_queue(struct client *c)
{
	struct vhost_vring_state num = { .index = 99, .num = 128 };

	return ioctl(c->dev, VHOST_SET_VRING_NUM, &num);
}

static int base_too_big(struct client *c)
{
	struct vhost_vring_state base = { .num = 65536 };

	return ioctl(c->dev, VHOST_SET_VRING_BASE, &base);
}

static int base_running(struct client *c)
{
	struct vhost_vring_state base = {};

	return ioctl(c->dev, VHOST_SET_VRING_BASE, &base);
}

static int rings_bad_argument(struct client *c)
{
	return ioctl(c->dev, VHOST_SET_VRING_ADDR, 8);
}

static int rings_not_aligned(struct client *c)
{
	struct rings *rings = c->area->rings;

	return set_rings(c->dev, 0, (uintptr_t)rings->desc,
			 (uintptr_t)&rings->avail + 1, (uintptr_t)&rings->used, 0);
}

static int rings_flags(struct client *c)
{
	struct vhost_vring_addr addr = { .flags = 0x80 };

	return ioctl(c->dev, VHOST_SET_VRING_ADDR, &addr);
}

static int rings_in_the_kernel(struct client *c)
{
	__u64 kernel = 0xffff888000000000;

	must(set_rings(c->dev, 0, kernel, kernel, kernel, 0), "rings");
	return start(c);
}

static int rings_in_the_kernel_running(struct client *c)
{
	__u64 kernel = 0xffff888000000000;
	struct vhost_vring_addr addr = {
		.desc_user_addr = kernel, .avail_user_addr = kernel,
		.used_user_addr = kernel,
	};

	return ioctl(c->dev, VHOST_SET_VRING_ADDR, &addr);
}

static int rings_not_mapped(struct client *c)
{
	must(set_rings(c->dev, 0, PAGE, PAGE, PAGE, 0), "rings");
	return start(c);
}

static int start_not_owned(struct client *c)
{
	return start(c);
}

static int start_without_memory(struct client *c)
{
	must(set_features(c->dev, 1ULL << VIRTIO_F_VERSION_1), "features");
	must(rings_of(c, 0), "rings");
	must(rings_of(c, 1), "rings");
	return start(c);
}

static int ring_file(struct client *c, unsigned int request, int fd)
{
	struct vhost_vring_file file = { .fd = fd };

	return ioctl(c->dev, request, &file);
}

static int kick_closed(struct client *c)
{
	return ring_file(c, VHOST_SET_VRING_KICK, 9999);
}

static int kick_no_eventfd(struct client *c)
{
	return ring_file(c, VHOST_SET_VRING_KICK, c->dev);
}

static int call_closed(struct client *c)
{
	return ring_file(c, VHOST_SET_VRING_CALL, 9999);
}

static int call_no_eventfd(struct client *c)
{
	return ring_file(c, VHOST_SET_VRING_CALL, c->dev);
}

static int error_closed(struct client *c)
{
	return ring_file(c, VHOST_SET_VRING_ERR, 9999);
}

static int log_closed(struct client *c)
{
	int fd = 9999;

	return ioctl(c->dev, VHOST_SET_LOG_FD, &fd);
}

static int unknown_ioctl(struct client *c)
{
	__u64 nothing = 0;

	return ioctl(c->dev, _IOW(VHOST_VIRTIO, 0xDF, __u64), &nothing);
}

static int translation(struct client *c, unsigned int type, size_t bytes)
{
	struct vhost_msg_v2 msg = {
		.type = type,
		.iotlb = {
			.size = PAGE,
			.uaddr = (uintptr_t)c->area,
			.perm = VHOST_ACCESS_RW,
			.type = VHOST_IOTLB_UPDATE,
		},
	};

	return write(c->dev, &msg, bytes);
}

static int translation_not_negotiated(struct client *c)
{
	return translation(c, VHOST_IOTLB_MSG_V2, sizeof(struct vhost_msg_v2));
}

static int translation_unknown(struct client *c)
{
	return translation(c, 77, sizeof(struct vhost_msg_v2));
}

static int translation_short(struct client *c)
{
	return translation(c, VHOST_IOTLB_MSG_V2, 16);
}

static int misses_none(struct client *c)
{
	struct vhost_msg_v2 msg;

	must(fcntl(c->dev, F_SETFL, O_NONBLOCK), "fcntl");
	return read(c->dev, &msg, sizeof(msg));
}

/* What is the device's own, and of no other vhost driver. */

static int start_size(struct client *c, __u64 bytes)
{
	return ioctl(c->dev, PYKIT_VHOST_START, &bytes);
}

static int size_zero(struct client *c)
{
	return start_size(c, 0);
}

static int size_odd(struct client *c)
{
	return start_size(c, 1000);
}

static int size_too_big(struct client *c)
{
	return start_size(c, 1ULL << 40);
}

static int start_without_queue(struct client *c)
{
	must(memory_of(c), "VHOST_SET_MEM_TABLE");
	return start(c);
}

static int set_disk(struct client *c, const char *path, int how, __u64 bytes,
		    __u32 flags)
{
	struct pykit_vhost_disk disk = { .bytes = bytes, .flags = flags, .fd = 9999 };
	int err;

	if (path) {
		disk.fd = open(path, how | O_CREAT | O_CLOEXEC, 0600);
		must(disk.fd, path);
	}
	err = ioctl(c->dev, PYKIT_VHOST_SET_DISK, &disk);
	if (path) {
		int saved = errno;

		close(disk.fd);
		errno = saved;
	}
	return err;
}

#define FILE_PATH "/tmp/vhost-ring-disk"

static int disk_closed(struct client *c)
{
	return set_disk(c, NULL, 0, 0, 0);
}

static int disk_not_readable(struct client *c)
{
	return set_disk(c, FILE_PATH, O_WRONLY, 0, 0);
}

static int disk_not_writable(struct client *c)
{
	return set_disk(c, FILE_PATH, O_RDONLY, 0, 0);
}

static int disk_appends(struct client *c)
{
	return set_disk(c, FILE_PATH, O_RDWR | O_APPEND, 0, 0);
}

static int disk_no_file(struct client *c)
{
	return set_disk(c, "/dev/null", O_RDWR, 0, 0);
}

static int disk_beyond_end(struct client *c)
{
	return set_disk(c, FILE_PATH, O_RDWR, 2 * DISK_BYTES, 0);
}

static int disk_flags(struct client *c)
{
	return set_disk(c, FILE_PATH, O_RDWR, 0, 0x80);
}

static int disk_read_only(struct client *c)
{
	return set_disk(c, FILE_PATH, O_RDONLY, 0, PYKIT_VHOST_DISK_RO);
}

static int disk_running(struct client *c)
{
	return set_disk(c, FILE_PATH, O_RDWR, 0, 0);
}

static int config_beyond_end(struct client *c)
{
	struct vhost_vdpa_config part = { .off = 4096, .len = 1 };

	return ioctl(c->dev, VHOST_VDPA_GET_CONFIG, &part);
}

static const struct refusal {
	const char *name;
	struct client (*state)(const char *path);
	int (*act)(struct client *c);
	int error;
} refusals[] = {
	{ "memory table, no owner", bare, not_owned_memory, EPERM },
	{ "queue, no owner", bare, not_owned_queue, EPERM },
	{ "start, no owner", bare, start_not_owned, EPERM },
	{ "owner, a second time", owned, owned_twice, EBUSY },
	{ "not the owner's process", owned, other_process, EPERM },
	{ "features never offered", owned, features_unknown, EOPNOTSUPP },
	{ "features at a bad address", owned, features_bad_address, EFAULT },
	{ "log at a bad address", set_up, features_log_without_base, EFAULT },
	{ "log by a bad fd", owned, log_closed, EBADF },
	{ "backend features unknown", owned, backend_features_unknown, EOPNOTSUPP },
	{ "memory table at a bad address", owned, memory_bad_address, EFAULT },
	{ "memory table with padding", owned, memory_padding, EOPNOTSUPP },
	{ "memory table too long", owned, memory_too_many, E2BIG },
	{ "memory region that wraps", owned, memory_wraps, EFAULT },
	{ "ring of no size", owned, ring_size_zero, EINVAL },
	{ "ring size no power of two", owned, ring_size_odd, EINVAL },
	{ "ring too big", owned, ring_size_too_big, EINVAL },
	{ "ring set up twice before a start", owned, ring_size_again, 0 },
	{ "ring set up twice while running", running, ring_size_running, EBUSY },
	{ "no such queue", owned, no_such_queue, ENOBUFS },
	{ "base too big", owned, base_too_big, EINVAL },
	{ "base while running", running, base_running, EBUSY },
	{ "rings: argument at a bad address", owned, rings_bad_argument, EFAULT },
	{ "rings not aligned", owned, rings_not_aligned, EINVAL },
	{ "rings with unknown flags", owned, rings_flags, EOPNOTSUPP },
	{ "rings at kernel addresses", set_up, rings_in_the_kernel, EFAULT },
	{ "rings at kernel addresses, running", running, rings_in_the_kernel_running, EINVAL },
	{ "rings that are not mapped", set_up, rings_not_mapped, EFAULT },
	{ "start without a memory table", owned, start_without_memory, EFAULT },
	{ "kick by a bad fd", owned, kick_closed, EBADF },
	{ "kick by no eventfd", owned, kick_no_eventfd, EINVAL },
	{ "call by a bad fd", owned, call_closed, EBADF },
	{ "call by no eventfd", owned, call_no_eventfd, EINVAL },
	{ "error by a bad fd", owned, error_closed, EBADF },
	{ "ioctl unknown", owned, unknown_ioctl, ENOTTY },
	{ "translation not negotiated", owned, translation_not_negotiated, EFAULT },
	{ "translation of unknown type", owned, translation_unknown, EINVAL },
	{ "translation too short", owned, translation_short, EINVAL },
	{ "no miss to be read", owned, misses_none, EAGAIN },
}, own_refusals[] = {
	{ "disk of no size", set_up, size_zero, EINVAL },
	{ "disk of half a sector", set_up, size_odd, EINVAL },
	{ "disk too big", set_up, size_too_big, EINVAL },
	{ "start without a queue", owned, start_without_queue, EFAULT },
	{ "disk by a bad fd", owned, disk_closed, EBADF },
	{ "disk that may not be read", owned, disk_not_readable, EBADF },
	{ "disk that may not be written", owned, disk_not_writable, EBADF },
	{ "disk that is appended to", owned, disk_appends, EINVAL },
	{ "disk that is no file", owned, disk_no_file, EINVAL },
	{ "disk longer than its file", owned, disk_beyond_end, EINVAL },
	{ "disk with unknown flags", owned, disk_flags, EINVAL },
	{ "disk that is read-only", owned, disk_read_only, 0 },
	{ "disk while running", running, disk_running, EBUSY },
	{ "configuration beyond its end", owned, config_beyond_end, EINVAL },
};

static int refused(const struct refusal *r, const char *path)
{
	struct client c = r->state(path);
	int error = result(r->act(&c));

	done(&c);
	return error;
}

static void check_refusals(const struct refusal *list, size_t count, bool reference)
{
	char name[100];
	size_t i;

	for (i = 0; i < count; i++) {
		const struct refusal *r = &list[i];

		expect(r->name, refused(r, PYKIT_VHOST_DEV), r->error,
		       r->error && r->act != misses_none);
		if (!reference)
			continue;
		snprintf(name, sizeof(name), "%s, " VSOCK, r->name);
		expect(name, refused(r, VSOCK), r->error, 0);
	}
}

/* Requests. */

static __u64 bus(struct client *c, const void *at)
{
	return BUS + ((const char *)at - (const char *)c->area);
}

static void put_desc(struct client *c, struct le_desc *desc, void *at, __u32 len,
		     __u16 flags, __u16 next)
{
	desc->addr = bus(c, at);
	desc->len = len;
	desc->flags = flags;
	desc->next = next;
}

static void expose(struct client *c, __u16 head)
{
	struct rings *rings = c->area->rings;

	rings->avail_ring[c->avail_idx % QUEUE_SIZE] = htole16(head);
	__atomic_store_n(&rings->avail.idx, htole16(++c->avail_idx), __ATOMIC_RELEASE);
}

static void kick(struct client *c)
{
	__u64 one = 1;

	must(write(c->kick, &one, sizeof(one)), "kick");
}

/* A read or a write of so many bytes as request @n, in descriptors 3n to 3n + 2. */
static void put_request(struct client *c, unsigned int n, __u32 type, __u32 bytes)
{
	struct le_desc *desc = &c->area->rings[0].desc[3 * n];
	__u16 write = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;

	c->area->hdr[n] = (struct le_blk_hdr){ .type = type };
	c->area->status[n] = 0xff;
	put_desc(c, &desc[0], &c->area->hdr[n], sizeof(c->area->hdr[n]),
		 VRING_DESC_F_NEXT, 3 * n + 1);
	put_desc(c, &desc[1], c->area->data, bytes, VRING_DESC_F_NEXT | write, 3 * n + 2);
	put_desc(c, &desc[2], &c->area->status[n], 1, VRING_DESC_F_WRITE, 0);
}

static bool happens(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1;
}

static __u16 used_idx(struct client *c)
{
	return le16toh(__atomic_load_n(&c->area->rings[0].used.idx, __ATOMIC_ACQUIRE));
}

/* A request is answered with a status, with all that comes before it. */
static bool answers(struct client *c, __u32 type, __u8 status)
{
	__u16 want;

	put_request(c, 0, type, 512);
	expose(c, 0);
	want = c->avail_idx;
	kick(c);
	while (used_idx(c) != want) {
		__u64 count;

		if (!happens(c->call, SOON_MS))
			return false;
		must(read(c->call, &count, sizeof(count)), "call");
	}
	return c->area->status[0] == status;
}

/* Chains that no device can serve; each is built over a good read at 0. */

static void chain_loops(struct client *c)
{
	struct le_desc *desc = c->area->rings[0].desc;

	desc[2].flags |= VRING_DESC_F_NEXT;
	desc[2].next = 1;
}

static void chain_head_out_of_range(struct client *c)
{
	c->area->rings[0].avail_ring[0] = htole16(QUEUE_SIZE);
}

static void chain_next_out_of_range(struct client *c)
{
	c->area->rings[0].desc[1].next = QUEUE_SIZE;
}

static void make_indirect(struct client *c)
{
	struct le_desc *desc = c->area->rings[0].desc;

	memcpy(c->area->table, desc, 3 * sizeof(*desc));
	put_desc(c, &desc[0], c->area->table, 3 * sizeof(*desc), VRING_DESC_F_INDIRECT, 0);
}

static void chain_indirect_nested(struct client *c)
{
	make_indirect(c);
	c->area->table[1].flags |= VRING_DESC_F_INDIRECT;
}

static void chain_indirect_length(struct client *c)
{
	make_indirect(c);
	c->area->rings[0].desc[0].len -= 8;
}

static void chain_indirect_empty(struct client *c)
{
	make_indirect(c);
	c->area->rings[0].desc[0].len = 0;
}

static void chain_indirect_loops(struct client *c)
{
	make_indirect(c);
	c->area->table[2].flags |= VRING_DESC_F_NEXT;
	c->area->table[2].next = 0;
}

static void chain_indirect_outside(struct client *c)
{
	make_indirect(c);
	c->area->rings[0].desc[0].addr = bus(c, c->area + 1);
}

static void chain_not_in_table(struct client *c)
{
	c->area->rings[0].desc[1].addr = bus(c, c->area + 1);
}

static void chain_beyond_table(struct client *c)
{
	c->area->rings[0].desc[1].addr = bus(c, c->area + 1) - 256;
}

static void chain_wraps(struct client *c)
{
	c->area->rings[0].desc[1].addr = ~0ULL - 255;
}

static void chain_too_long(struct client *c)
{
	c->area->rings[0].desc[1].len = 0xffffffff;
}

static void chain_writable_first(struct client *c)
{
	c->area->rings[0].desc[0].flags |= VRING_DESC_F_WRITE;
	c->area->rings[0].desc[1].flags &= ~VRING_DESC_F_WRITE;
}

static void chain_without_status(struct client *c)
{
	put_request(c, 0, VIRTIO_BLK_T_OUT, 512);
	c->area->rings[0].desc[1].flags = 0;
}

static void chain_short_header(struct client *c)
{
	c->area->rings[0].desc[0].len = 8;
}

static void chain_header_empty(struct client *c)
{
	c->area->rings[0].desc[0].len = 0;
}

static void chain_too_far(struct client *c)
{
	c->avail_idx += QUEUE_SIZE;
	c->area->rings[0].avail.idx = htole16(c->avail_idx + 1);
}

static const struct {
	const char *name;
	void (*spoil)(struct client *c);
} chains[] = {
	{ "chain that loops", chain_loops },
	{ "chain with a head out of range", chain_head_out_of_range },
	{ "chain that leaves the table", chain_next_out_of_range },
	{ "indirect table in an indirect table", chain_indirect_nested },
	{ "indirect table of odd length", chain_indirect_length },
	{ "indirect table without entries", chain_indirect_empty },
	{ "indirect table that loops", chain_indirect_loops },
	{ "indirect table outside memory", chain_indirect_outside },
	{ "buffer outside memory", chain_not_in_table },
	{ "buffer that leaves memory", chain_beyond_table },
	{ "buffer that wraps", chain_wraps },
	{ "buffer of 4 GiB", chain_too_long },
	{ "chain with the writable part first", chain_writable_first },
	{ "chain without a status byte", chain_without_status },
	{ "chain with half a header", chain_short_header },
	{ "chain without a header", chain_header_empty },
	{ "available index too far ahead", chain_too_far },
};

/* Refused: the error is signalled, nothing is written, and the queue stands. */
static void check_chain(const char *name, void (*spoil)(struct client *c))
{
	struct client c = running(PYKIT_VHOST_DEV);
	struct vhost_vring_state base = {};
	struct vhost_vring_state first = {};
	const char *what = "";

	put_request(&c, 0, VIRTIO_BLK_T_IN, 512);
	memset(c.area->data, 0xa5, 512);
	c.area->rings[0].avail_ring[0] = 0;
	spoil(&c);
	__atomic_store_n(&c.area->rings[0].avail.idx, htole16(++c.avail_idx), __ATOMIC_RELEASE);
	kick(&c);
	if (!happens(c.error, SOON_MS))
		what = "no error was signalled";
	must(ioctl(c.dev, VHOST_GET_VRING_BASE, &base), "VHOST_GET_VRING_BASE");
	if (base.num || used_idx(&c))
		what = "the chain was taken";
	if (c.area->status[0] != 0xff || c.area->data[0] != 0xa5)
		what = "something was written";
	/* And the device is as good as ever. */
	must(ioctl(c.dev, PYKIT_VHOST_STOP), "PYKIT_VHOST_STOP");
	memset(c.area->rings, 0, sizeof(c.area->rings));
	c.avail_idx = 0;
	must(ioctl(c.dev, VHOST_SET_VRING_BASE, &first), "VHOST_SET_VRING_BASE");
	must(start(&c), "start");
	if (!answers(&c, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK))
		what = "the device serves no more";
	report(name, what, 0);
	done(&c);
}

static void check_empty_descriptor(void)
{
	struct client c = running(PYKIT_VHOST_DEV);

	put_request(&c, 0, VIRTIO_BLK_T_FLUSH, 0);
	expose(&c, 0);
	kick(&c);
	expect_true("empty descriptor is served", happens(c.call, SOON_MS) &&
		    used_idx(&c) == 1 && c.area->status[0] == VIRTIO_BLK_S_OK);
	done(&c);
}

/* In the table, but not in the process any more. */
static void check_unmapped(void)
{
	struct client c = running(PYKIT_VHOST_DEV);

	put_request(&c, 0, VIRTIO_BLK_T_IN, 8192);
	must(mprotect(c.area->data, PAGE, PROT_NONE), "mprotect");
	expose(&c, 0);
	kick(&c);
	expect_true("buffer that is not mapped ends in IOERR",
		    happens(c.call, SOON_MS) && used_idx(&c) == 1 &&
		    c.area->rings[0].used_ring[0].len == 0 &&
		    c.area->status[0] == VIRTIO_BLK_S_IOERR);
	must(mprotect(c.area->data, PAGE, PROT_READ | PROT_WRITE), "mprotect");
	expect_true("and the next one is served",
		    answers(&c, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK));
	done(&c);
}

static void check_read_only(void)
{
	struct client c = owned(PYKIT_VHOST_DEV);
	__u64 offered = 0;

	must(disk_read_only(&c), "PYKIT_VHOST_SET_DISK");
	must(ioctl(c.dev, VHOST_GET_FEATURES, &offered), "VHOST_GET_FEATURES");
	expect_true("a read-only disk says so", offered >> VIRTIO_BLK_F_RO & 1 &&
		    !(offered >> VIRTIO_BLK_F_DISCARD & 1));
	must(memory_of(&c), "VHOST_SET_MEM_TABLE");
	must(set_features(c.dev, 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_BLK_F_RO),
	     "VHOST_SET_FEATURES");
	must(rings_of(&c, 0), "rings");
	must(start(&c), "start");
	memset(c.area->data, 0x5a, 512);
	expect_true("a read-only disk is not written to",
		    answers(&c, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_IOERR));
	expect_true("a read-only disk is read",
		    answers(&c, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK) &&
		    c.area->data[0] == 0);
	done(&c);
}

static void check_config(void)
{
	struct client c = owned(PYKIT_VHOST_DEV);
	struct {
		struct vhost_vdpa_config part;
		struct virtio_blk_config config;
	} got = { .part.len = offsetof(struct virtio_blk_config, num_queues) + 2 };
	__u32 queues = 0;

	must(disk_running(&c), "PYKIT_VHOST_SET_DISK");
	must(ioctl(c.dev, VHOST_VDPA_GET_CONFIG, &got), "VHOST_VDPA_GET_CONFIG");
	must(ioctl(c.dev, VHOST_VDPA_GET_VQS_COUNT, &queues), "VHOST_VDPA_GET_VQS_COUNT");
	expect_true("the configuration is the disk's",
		    le64toh(got.config.capacity) == DISK_BYTES / SECTOR &&
		    le32toh(got.config.blk_size) == SECTOR &&
		    le16toh(got.config.num_queues) == queues &&
		    queues == PYKIT_VHOST_MAX_QUEUES);
	done(&c);
}

static void check_workers(void)
{
	struct client c = owned(PYKIT_VHOST_DEV);
	struct vhost_worker_state worker = {};
	struct vhost_vring_worker attach = {};

	if (ioctl(c.dev, VHOST_NEW_WORKER, &worker) < 0 && errno == ENOTTY) {
		printf("ok %u - workers # SKIP this kernel has one for all queues\n",
		       ++number);
		lines_logged();
	} else {
		attach.worker_id = 4711;
		expect("worker unknown",
		       result(ioctl(c.dev, VHOST_ATTACH_VRING_WORKER, &attach)), ENODEV, 1);
		attach.worker_id = worker.worker_id;
		expect("worker attached",
		       result(ioctl(c.dev, VHOST_ATTACH_VRING_WORKER, &attach)), 0, 0);
		expect("worker in use freed",
		       result(ioctl(c.dev, VHOST_FREE_WORKER, &worker)), EBUSY, 1);
	}
	done(&c);
}

/* In flight. */

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As many requests as there is room for, none of them looked at. */
static void flood(struct client *c)
{
	unsigned int i;

	for (i = 0; i < QUEUE_SIZE / 3; i++) {
		put_request(c, i, i % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, BUFFER);
		expose(c, 3 * i);
	}
	kick(c);
}

static void check_close_in_flight(void)
{
	struct client c = running(PYKIT_VHOST_DEV);
	long began;

	flood(&c);
	began = now_ms();
	close(c.dev);
	expect("close with requests in flight",
	       now_ms() - began < PROMPT_MS ? 0 : ETIMEDOUT, 0, 1);
}

/* What was not served before a stop is served after the next start, once. */
static void check_stop_in_flight(void)
{
	struct client c = running(PYKIT_VHOST_DEV);
	struct vhost_vring_state base = {};
	unsigned int i, unserved = 0;
	long began;

	flood(&c);
	began = now_ms();
	must(ioctl(c.dev, PYKIT_VHOST_STOP), "PYKIT_VHOST_STOP");
	expect_true("stop with requests in flight", now_ms() - began < PROMPT_MS);
	must(ioctl(c.dev, VHOST_GET_VRING_BASE, &base), "VHOST_GET_VRING_BASE");
	expect_true("what was taken is returned", base.num == used_idx(&c));
	must(start(&c), "start");
	while (used_idx(&c) != c.avail_idx && happens(c.call, SOON_MS)) {
		__u64 count;

		must(read(c.call, &count, sizeof(count)), "call");
	}
	for (i = 0; i < QUEUE_SIZE / 3; i++)
		unserved += c.area->status[i] != VIRTIO_BLK_S_OK;
	expect_true("what was not taken is served after the next start",
		    used_idx(&c) == c.avail_idx && !unserved);
	done(&c);
}

static void check_kill_in_flight(void)
{
	struct client c;
	int ready[2], status;
	char byte = 0;
	long began;
	pid_t pid;

	must(pipe(ready), "pipe");
	fflush(stdout);
	pid = fork();
	must(pid, "fork");
	if (!pid) {
		c = running(PYKIT_VHOST_DEV);
		must(write(ready[1], &byte, 1), "pipe");
		for (;;) {
			flood(&c);
			happens(c.call, 10);
		}
	}
	must(read(ready[0], &byte, 1), "pipe");
	usleep(20000);
	began = now_ms();
	kill(pid, SIGKILL);
	must(waitpid(pid, &status, 0), "waitpid");
	expect("owner killed with requests in flight",
	       WIFSIGNALED(status) && now_ms() - began < PROMPT_MS ? 0 : ETIMEDOUT, 0, 1);
	c = running(PYKIT_VHOST_DEV);
	expect_true("and the next owner is served",
		    answers(&c, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK));
	done(&c);
}

static void check_reset_owner(void)
{
	struct client c = running(PYKIT_VHOST_DEV);
	bool served;

	flood(&c);
	expect("owner reset with requests in flight",
	       result(ioctl(c.dev, VHOST_RESET_OWNER)), 0, 0);
	expect("and there is none", result(memory_of(&c)), EPERM, 1);
	must(ioctl(c.dev, VHOST_SET_OWNER), "VHOST_SET_OWNER");
	memset(c.area->rings, 0, sizeof(c.area->rings));
	c.avail_idx = 0;
	must(memory_of(&c), "VHOST_SET_MEM_TABLE");
	must(set_features(c.dev, 1ULL << VIRTIO_F_VERSION_1), "VHOST_SET_FEATURES");
	must(rings_of(&c, 0), "rings");
	must(start(&c), "start");
	served = answers(&c, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_OK);
	expect_true("and the next owner is served", served);
	done(&c);
}

/* One line for each check; 0 if all was well. */
int run_checks(void)
{
	int file = open(FILE_PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool reference = !access(VSOCK, F_OK);
	size_t i;

	must(file, FILE_PATH);
	must(ftruncate(file, DISK_BYTES), "ftruncate");
	close(file);
	kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	must(kernel_log, "/dev/kmsg");
	must(lseek(kernel_log, 0, SEEK_END), "/dev/kmsg");

	check_refusals(refusals, ARRAY_SIZE(refusals), reference);
	check_refusals(own_refusals, ARRAY_SIZE(own_refusals), false);
	for (i = 0; i < ARRAY_SIZE(chains); i++)
		check_chain(chains[i].name, chains[i].spoil);
	check_empty_descriptor();
	check_unmapped();
	check_read_only();
	check_config();
	check_workers();
	check_close_in_flight();
	check_stop_in_flight();
	check_kill_in_flight();
	check_reset_owner();
	printf("1..%u\n%s", number, summary);
	printf("vhost-ring: %u checks, %u wrong%s\n", number, wrong,
	       reference ? "" : " (no " VSOCK " to be compared with)");
	return wrong ? 1 : 0;
}
