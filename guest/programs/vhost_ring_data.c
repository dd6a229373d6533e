// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests whose data is verified, on one or more queues of one device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vhost_ring.h"

#define SLOTS		24
#define MAX_SECTORS	128
#define MAX_PARTS	4
#define MAX_RANGES	4
#define DISK_SECTORS	4096
#define MAX_QUEUES	4

/* What the data, and what comes before and after it, takes. */
#define SHARED_PAGES	(MAX_SECTORS * SECTOR / PAGE + 1)

/* How long a used entry may take; a device with bugs is not waited for. */
#define TIMEOUT_MS	10000
#define TOLERANT_MS	200

/* Where the device sees the memory that it is given: no address of ours. */
#define BUS		0x100000
#define TRANSLATED_BUS	0x10000000000

/* Translations are given in pieces of so many bytes, on demand. */
#define PIECE		0x10000

/* A set-up of the device. */
struct setup {
	const char *name;
	bool event_idx;
	bool indirect;
	bool translated;
	bool logged;
	bool file;
	unsigned int queues;
};

/* A request in flight; what the device sees of it is in pages of its own. */
struct slot {
	union {
		struct {
			struct le_blk_hdr hdr;
			struct le_blk_range ranges[MAX_RANGES];
			struct le_desc table[MAX_PARTS + 2];
			__u8 data[MAX_SECTORS * SECTOR];
			__u8 status;
		};
		char shared[SHARED_PAGES * PAGE];
	};
	union {
		struct {
			bool busy;
			__u16 head;
			__u8 want_status;
			__u32 want_len;
			unsigned int sectors;
			unsigned long number;
			__u32 want[MAX_SECTORS];
		};
		char own_page[PAGE];
	};
};

struct memory {
	struct rings rings;
	struct slot slots[SLOTS];
};

/* What the device did that it should not have. */
struct oddities {
	unsigned long ids, lengths, statuses, data, late;
};

/* The driver's side of a queue. */
struct queue {
	struct memory *mem;
	struct rings *rings;
	unsigned int index, seed, left;
	int kick_fd, call_fd;

	/* Free descriptors, linked by next; first in, first out. */
	__u16 free_head, free_tail, num_free;

	/* What was made available, kicked, taken; requests by their heads. */
	__u16 avail_idx, kicked_idx, last_used;
	struct slot *heads[QUEUE_SIZE];
	unsigned int outstanding;

	/* What each sector should hold: the number of the write, 0 for zeroes. */
	__u32 model[DISK_SECTORS];
	__u32 writes;

	unsigned long requests, kicks, calls, unordered, newest;
	struct oddities odd;
};

static const struct setup *setup;
static bool tolerant;
static struct memory *memory;
static struct queue queues[MAX_QUEUES];
static __u8 *dirty;
static __u64 bus;
static int dev;

static unsigned int random_below(struct queue *q, unsigned int limit)
{
	return (unsigned int)rand_r(&q->seed) % limit;
}

static __u64 bus_addr(const void *at)
{
	return bus + ((const char *)at - (const char *)memory);
}

/* What is wrong ends the program, unless it is to be counted. */
static void odd(unsigned long *count, const struct queue *q, const char *what,
		unsigned long got, unsigned long want)
{
	if (!tolerant)
		fail("%s, queue %u, after %lu requests: %s %lu, not %lu",
		     setup->name, q->index, q->requests, what, got, want);
	++*count;
}

/* Word @i of a sector's contents. */
static __u32 pattern(__u32 sector, __u32 write, unsigned int i)
{
	return write ? (sector * 2654435761u) ^ (write << 8) ^ i : 0;
}

static void *answer_misses(void *unused)
{
	struct vhost_msg_v2 msg;
	__u64 offset;

	while (read(dev, &msg, sizeof(msg)) == sizeof(msg)) {
		offset = (msg.iotlb.iova - bus) & ~(__u64)(PIECE - 1);
		msg.iotlb.iova = bus + offset;
		msg.iotlb.size = PIECE;
		msg.iotlb.uaddr = (uintptr_t)memory + offset;
		msg.iotlb.perm = VHOST_ACCESS_RW;
		msg.iotlb.type = VHOST_IOTLB_UPDATE;
		if (write(dev, &msg, sizeof(msg)) != sizeof(msg))
			fail("translation of %#llx: %s",
			     (unsigned long long)msg.iotlb.iova, strerror(errno));
	}
	return unused;
}

/* The rings lie in pieces that are known from the start, as QEMU does it. */
static void translate_rings(struct queue *q)
{
	struct vhost_msg_v2 msg = {
		.type = VHOST_IOTLB_MSG_V2,
		.iotlb = {
			.iova = bus_addr(q->rings),
			.size = sizeof(*q->rings),
			.uaddr = (uintptr_t)q->rings,
			.perm = VHOST_ACCESS_RW,
			.type = VHOST_IOTLB_UPDATE,
		},
	};

	if (write(dev, &msg, sizeof(msg)) != sizeof(msg))
		fail("translation of the rings: %s", strerror(errno));
}

static void set_up_queue(struct queue *q, unsigned int index)
{
	unsigned int i;

	memset(q, 0, sizeof(*q));
	q->index = index;
	q->seed = random();
	q->mem = &memory[index];
	q->rings = &q->mem->rings;
	q->num_free = QUEUE_SIZE;
	q->free_tail = QUEUE_SIZE - 1;
	for (i = 0; i < QUEUE_SIZE; i++)
		q->rings->desc[i].next = i + 1;
	q->kick_fd = eventfd(0, EFD_NONBLOCK);
	must(q->kick_fd, "eventfd");
	q->call_fd = eventfd(0, EFD_NONBLOCK);
	must(q->call_fd, "eventfd");
	if (setup->translated) {
		translate_rings(q);
		must(set_rings(dev, index, bus_addr(q->rings->desc),
			       bus_addr(&q->rings->avail),
			       bus_addr(&q->rings->used), 0), "rings");
	} else {
		must(set_rings(dev, index, (uintptr_t)q->rings->desc,
			       (uintptr_t)&q->rings->avail,
			       (uintptr_t)&q->rings->used,
			       setup->logged ? bus_addr(&q->rings->used) : 0),
		     "rings");
	}
	must(set_kick(dev, index, q->kick_fd, q->call_fd), "eventfds");
}

/* A worker for each further queue, on kernels that have them. */
static void set_workers(void)
{
	struct vhost_worker_state worker = {};
	struct vhost_vring_worker attach;
	unsigned int i;

	for (i = 1; i < setup->queues; i++) {
		if (ioctl(dev, VHOST_NEW_WORKER, &worker) < 0) {
			if (errno != ENOTTY)
				fail("VHOST_NEW_WORKER: %s", strerror(errno));
			return;
		}
		attach.index = i;
		attach.worker_id = worker.worker_id;
		must(ioctl(dev, VHOST_ATTACH_VRING_WORKER, &attach),
		     "VHOST_ATTACH_VRING_WORKER");
	}
}

static void set_disk(__u64 bytes)
{
	struct pykit_vhost_disk disk = { .bytes = bytes };

	disk.fd = memfd_create("disk", MFD_CLOEXEC);
	must(disk.fd, "memfd_create");
	must(ftruncate(disk.fd, bytes), "ftruncate");
	must(ioctl(dev, PYKIT_VHOST_SET_DISK, &disk), "PYKIT_VHOST_SET_DISK");
	close(disk.fd);
}

static __u64 wanted_features(void)
{
	return 1ULL << VIRTIO_F_VERSION_1 |
	       1ULL << VIRTIO_BLK_F_FLUSH |
	       1ULL << VIRTIO_BLK_F_DISCARD |
	       1ULL << VIRTIO_BLK_F_WRITE_ZEROES |
	       (__u64)setup->event_idx << VIRTIO_RING_F_EVENT_IDX |
	       (__u64)setup->indirect << VIRTIO_RING_F_INDIRECT_DESC |
	       (__u64)setup->translated << VIRTIO_F_ACCESS_PLATFORM |
	       (__u64)setup->logged << VHOST_F_LOG_ALL;
}

static void set_up(void)
{
	__u64 backend = 1ULL << VHOST_BACKEND_F_IOTLB_MSG_V2;
	__u64 bytes = (__u64)DISK_SECTORS * SECTOR * setup->queues;
	size_t size = sizeof(*memory) * MAX_QUEUES;
	__u64 log;
	unsigned int i;

	memory = map(size);
	bus = setup->translated ? TRANSLATED_BUS : BUS;
	dirty = map((BUS + size) / PAGE / 8 + 1);
	log = (uintptr_t)dirty;

	dev = open_device(PYKIT_VHOST_DEV);
	must(ioctl(dev, VHOST_SET_OWNER), "VHOST_SET_OWNER");
	must(ioctl(dev, VHOST_SET_BACKEND_FEATURES, &backend), "backend features");
	must(set_memory(dev, bus, memory, size), "VHOST_SET_MEM_TABLE");
	must(ioctl(dev, VHOST_SET_LOG_BASE, &log), "VHOST_SET_LOG_BASE");
	must(set_features(dev, wanted_features()), "VHOST_SET_FEATURES");
	set_workers();
	for (i = 0; i < setup->queues; i++)
		set_up_queue(&queues[i], i);
	if (setup->file)
		set_disk(bytes);
	must(ioctl(dev, PYKIT_VHOST_START, &bytes), "PYKIT_VHOST_START");
}

static void tear_down(void)
{
	unsigned int i;

	must(ioctl(dev, PYKIT_VHOST_STOP), "PYKIT_VHOST_STOP");
	for (i = 0; i < setup->queues; i++) {
		struct vhost_vring_state base = { .index = i };

		must(ioctl(dev, VHOST_GET_VRING_BASE, &base), "VHOST_GET_VRING_BASE");
		if (base.num != queues[i].avail_idx)
			fail("%s: the device stands at %u of %u", setup->name,
			     base.num, queues[i].avail_idx);
		close(queues[i].kick_fd);
		close(queues[i].call_fd);
	}
	/* Whoever reads misses is woken up by this, and finds that it is over. */
	must(ioctl(dev, VHOST_RESET_OWNER), "VHOST_RESET_OWNER");
}

static void let_go(void)
{
	close(dev);
	munmap(memory, sizeof(*memory) * MAX_QUEUES);
	munmap(dirty, (BUS + sizeof(*memory) * MAX_QUEUES) / PAGE / 8 + 1);
}

static void add_desc(struct le_desc *desc, void *addr, __u32 len, __u16 flags)
{
	desc->addr = bus_addr(addr);
	desc->len = len;
	desc->flags = flags | VRING_DESC_F_NEXT;
}

/* The parts of a request, as (address, length, flags), in @parts. */
static unsigned int build(struct queue *q, struct slot *s, struct le_desc *parts)
{
	unsigned int n = 0, cut, left;
	__u16 flags = 0;
	__u8 *data = s->data;

	add_desc(&parts[n++], &s->hdr, sizeof(s->hdr), 0);
	switch (s->hdr.type) {
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		add_desc(&parts[n++], s->ranges,
			 s->sectors * sizeof(s->ranges[0]), 0);
		break;
	case VIRTIO_BLK_T_GET_ID:
		add_desc(&parts[n++], data, VIRTIO_BLK_ID_BYTES,
			 VRING_DESC_F_WRITE);
		break;
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		if (s->hdr.type == VIRTIO_BLK_T_IN)
			flags = VRING_DESC_F_WRITE;
		left = s->sectors * SECTOR;
		while (left) {
			cut = n < MAX_PARTS ? 1 + random_below(q, left) : left;
			add_desc(&parts[n++], data, cut, flags);
			data += cut;
			left -= cut;
		}
		break;
	}
	add_desc(&parts[n++], &s->status, 1, VRING_DESC_F_WRITE);
	parts[n - 1].flags &= ~VRING_DESC_F_NEXT;
	return n;
}

static void expose(struct queue *q, struct slot *s, const struct le_desc *parts,
		   unsigned int n)
{
	struct le_desc *ring = q->rings->desc;
	__u16 place = q->free_head, next;
	unsigned int i;

	s->head = place;
	q->heads[place] = s;
	if (setup->indirect) {
		for (i = 0; i < n; i++) {
			s->table[i] = parts[i];
			s->table[i].next = i + 1;
		}
		ring[place].addr = bus_addr(s->table);
		ring[place].len = n * sizeof(s->table[0]);
		ring[place].flags = VRING_DESC_F_INDIRECT;
		q->free_head = ring[place].next;
		q->num_free--;
	} else {
		for (i = 0; i < n; i++) {
			next = ring[place].next;
			ring[place] = parts[i];
			ring[place].next = next;
			place = next;
		}
		q->free_head = place;
		q->num_free -= n;
	}
	q->rings->avail_ring[q->avail_idx % QUEUE_SIZE] = htole16(s->head);
	__atomic_store_n(&q->rings->avail.idx, htole16(++q->avail_idx), __ATOMIC_RELEASE);
	s->busy = true;
	q->outstanding++;
}

static void kick(struct queue *q)
{
	__u64 one = 1;
	bool needed;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (setup->event_idx)
		needed = vring_need_event(le16toh(__atomic_load_n(&q->rings->avail_event,
								  __ATOMIC_RELAXED)),
					  q->avail_idx, q->kicked_idx);
	else
		needed = !(__atomic_load_n(&q->rings->used.flags, __ATOMIC_RELAXED) &
			   htole16(VRING_USED_F_NO_NOTIFY));
	q->kicked_idx = q->avail_idx;
	if (!needed)
		return;
	must(write(q->kick_fd, &one, sizeof(one)), "kick");
	q->kicks++;
}

/* A sector of this queue's part of the disk. */
static __u64 on_disk(struct queue *q, unsigned int sector)
{
	return q->index * DISK_SECTORS + sector;
}

static void fill_out(struct queue *q, struct slot *s)
{
	unsigned int first = random_below(q, DISK_SECTORS - MAX_SECTORS);
	__u32 *word = (__u32 *)s->data;
	unsigned int i, k;

	s->hdr.sector = on_disk(q, first);
	q->writes++;
	for (i = 0; i < s->sectors; i++) {
		q->model[first + i] = q->writes;
		for (k = 0; k < SECTOR / sizeof(*word); k++)
			*word++ = pattern(s->hdr.sector + i, q->writes, k);
	}
}

/* Requests are served in order: what a read will find is known by now. */
static void fill_in(struct queue *q, struct slot *s)
{
	unsigned int first = random_below(q, DISK_SECTORS - MAX_SECTORS);

	s->hdr.sector = on_disk(q, first);
	memset(s->data, 0xa5, s->sectors * SECTOR);
	memcpy(s->want, &q->model[first], s->sectors * sizeof(s->want[0]));
	s->want_len = s->sectors * SECTOR + 1;
}

static void fill_ranges(struct queue *q, struct slot *s)
{
	unsigned int i;

	s->sectors = 1 + random_below(q, MAX_RANGES);
	for (i = 0; i < s->sectors; i++) {
		__u32 first = random_below(q, DISK_SECTORS - MAX_SECTORS);
		__u32 count = 1 + random_below(q, MAX_SECTORS);

		s->ranges[i].sector = on_disk(q, first);
		s->ranges[i].num_sectors = count;
		s->ranges[i].flags = 0;
		memset(&q->model[first], 0, count * sizeof(q->model[0]));
	}
}

static void fill(struct queue *q, struct slot *s)
{
	unsigned int dice = random_below(q, 100);

	s->sectors = 1 + random_below(q, random_below(q, 4) ? 16 : MAX_SECTORS);
	s->hdr.sector = 0;
	s->hdr.ioprio = 0;
	s->status = 0xff;
	s->want_status = VIRTIO_BLK_S_OK;
	s->want_len = 1;
	if (dice < 45) {
		s->hdr.type = VIRTIO_BLK_T_OUT;
		fill_out(q, s);
	} else if (dice < 88) {
		s->hdr.type = VIRTIO_BLK_T_IN;
		fill_in(q, s);
	} else if (dice < 92) {
		s->hdr.type = VIRTIO_BLK_T_FLUSH;
	} else if (dice < 94) {
		s->hdr.type = VIRTIO_BLK_T_DISCARD;
		fill_ranges(q, s);
	} else if (dice < 96) {
		s->hdr.type = VIRTIO_BLK_T_WRITE_ZEROES;
		fill_ranges(q, s);
	} else if (dice < 98) {
		s->hdr.type = VIRTIO_BLK_T_GET_ID;
		s->want_len = VIRTIO_BLK_ID_BYTES + 1;
	} else if (dice < 99) {
		s->hdr.type = VIRTIO_BLK_T_SCSI_CMD;
		s->want_status = VIRTIO_BLK_S_UNSUPP;
	} else {
		/* One sector beyond the end: nothing is read. */
		s->hdr.type = VIRTIO_BLK_T_IN;
		s->hdr.sector = setup->queues * DISK_SECTORS - s->sectors + 1;
		s->want_status = VIRTIO_BLK_S_IOERR;
		s->want_len = 0;
	}
}

static struct slot *free_slot(struct queue *q)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (!q->mem->slots[i].busy)
			return &q->mem->slots[i];
	return NULL;
}

/* The bit of a page in the log of what the device wrote. */
static bool is_dirty(const void *at, bool clear)
{
	__u64 page = bus_addr(at) / PAGE;
	__u8 bit = 1 << page % 8;

	if (clear)
		return __atomic_fetch_and(&dirty[page / 8], ~bit, __ATOMIC_SEQ_CST) & bit;
	return __atomic_load_n(&dirty[page / 8], __ATOMIC_SEQ_CST) & bit;
}

static void clear_log(const struct slot *s)
{
	size_t at;

	for (at = 0; at < sizeof(s->shared); at += PAGE)
		is_dirty(s->shared + at, true);
}

static void check_log(const struct queue *q, const struct slot *s, __u32 len)
{
	__u32 at;

	if (!is_dirty(&s->status, false) || !is_dirty(&q->rings->used, false))
		fail("%s: a status byte or the used ring is not in the log", setup->name);
	for (at = 0; at + 1 < len; at++)
		if (!is_dirty(s->data + at, false))
			fail("%s: written data is not in the log", setup->name);
}

static bool submit(struct queue *q)
{
	struct le_desc parts[MAX_PARTS + 2];
	struct slot *s = free_slot(q);

	if (!s || q->num_free < MAX_PARTS + 2)
		return false;
	fill(q, s);
	s->number = q->requests++;
	if (setup->logged)
		clear_log(s);
	expose(q, s, parts, build(q, s, parts));
	return true;
}

static void check_data(struct queue *q, const struct slot *s)
{
	const __u32 *word = (const __u32 *)s->data;
	unsigned int i, k;

	for (i = 0; i < s->sectors; i++)
		for (k = 0; k < SECTOR / sizeof(*word); k++, word++)
			if (*word != pattern(s->hdr.sector + i, s->want[i], k)) {
				odd(&q->odd.data, q, "wrong data: sector",
				    s->hdr.sector + i, s->want[i]);
				return;
			}
}

static void free_chain(struct queue *q, __u16 head)
{
	struct le_desc *ring = q->rings->desc;
	__u16 last = head;

	q->num_free++;
	while (ring[last].flags & VRING_DESC_F_NEXT) {
		last = ring[last].next;
		q->num_free++;
	}
	ring[q->free_tail].next = head;
	q->free_tail = last;
}

static void take(struct queue *q, const struct le_used_elem *used)
{
	struct slot *s;

	if (used->id >= QUEUE_SIZE || !q->heads[used->id]) {
		odd(&q->odd.ids, q, "used id is not outstanding:", used->id, 0);
		return;
	}
	s = q->heads[used->id];
	if (s->number < q->newest)
		q->unordered++;
	else
		q->newest = s->number;
	if (used->len != s->want_len)
		odd(&q->odd.lengths, q, "used length", used->len, s->want_len);
	if (s->status != s->want_status)
		odd(&q->odd.statuses, q, "status", s->status, s->want_status);
	if (s->status == VIRTIO_BLK_S_OK && s->hdr.type == VIRTIO_BLK_T_IN)
		check_data(q, s);
	if (s->status == VIRTIO_BLK_S_OK && s->hdr.type == VIRTIO_BLK_T_GET_ID &&
	    strcmp((char *)s->data, PYKIT_VHOST_ID))
		fail("identity \"%.20s\"", s->data);
	if (setup->logged)
		check_log(q, s, s->want_len);
	q->heads[used->id] = NULL;
	free_chain(q, used->id);
	s->busy = false;
	q->outstanding--;
}

static bool more_used(struct queue *q)
{
	return q->last_used != le16toh(__atomic_load_n(&q->rings->used.idx, __ATOMIC_ACQUIRE));
}

static void take_all(struct queue *q)
{
	while (more_used(q)) {
		take(q, &q->rings->used_ring[q->last_used % QUEUE_SIZE]);
		q->last_used++;
	}
	if (!tolerant && (__u16)(q->avail_idx - q->last_used) > SLOTS)
		fail("%s: used index %u is ahead of %u", setup->name, q->last_used,
		     q->avail_idx);
}

/* Sleep until the device has used something; false if it does not. */
static bool wait_used(struct queue *q)
{
	struct pollfd pfd = { .fd = q->call_fd, .events = POLLIN };
	bool called = true;
	__u64 count;

	q->rings->avail.flags = 0;
	q->rings->used_event = htole16(q->last_used);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (called && !more_used(q)) {
		called = poll(&pfd, 1, tolerant ? TOLERANT_MS : TIMEOUT_MS) == 1;
		if (called) {
			must(read(q->call_fd, &count, sizeof(count)), "call");
			q->calls += count;
		} else if (!tolerant) {
			fail("%s: no call within %d ms, %u of %u used", setup->name,
			     TIMEOUT_MS, q->last_used, q->avail_idx);
		}
	}
	if (!called && more_used(q))
		q->odd.late++;
	if (!setup->event_idx)
		q->rings->avail.flags = htole16(VRING_AVAIL_F_NO_INTERRUPT);
	return more_used(q);
}

static unsigned int now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Until the device has used something, or takes too long, look without asking to be
 * signalled: else it would be chance whether it ever had to stay silent.
 */
static void poll_used(struct queue *q)
{
	unsigned int since = now_ms();

	while (!more_used(q) && now_ms() - since < TOLERANT_MS)
		sched_yield();
}

static void *drive(void *arg)
{
	struct queue *q = arg;
	bool answered = true;
	unsigned int depth;

	while (q->left || (q->outstanding && answered)) {
		depth = 1 + random_below(q, SLOTS);
		while (q->left && depth-- && submit(q))
			q->left--;
		kick(q);
		if (!q->left || !free_slot(q) || random_below(q, 2))
			answered = wait_used(q);
		else if (q->outstanding)
			poll_used(q);
		take_all(q);
	}
	return NULL;
}

static void start(pthread_t *thread, void *(*function)(void *), void *arg)
{
	if (pthread_create(thread, NULL, function, arg))
		fail("pthread_create: %s", strerror(errno));
}

static void run(unsigned int requests)
{
	pthread_t threads[MAX_QUEUES], translator;
	unsigned int i;

	set_up();
	if (setup->translated)
		start(&translator, answer_misses, NULL);
	for (i = 0; i < setup->queues; i++) {
		queues[i].left = requests / setup->queues;
		start(&threads[i], drive, &queues[i]);
	}
	for (i = 0; i < setup->queues; i++)
		pthread_join(threads[i], NULL);
	tear_down();
	if (setup->translated)
		pthread_join(translator, NULL);
	let_go();
}

static const struct setup setups[] = {
	{ "plain", .queues = 1 },
	{ "event-idx", .event_idx = true, .queues = 1 },
	{ "indirect", .indirect = true, .queues = 1 },
	{ "both", .event_idx = true, .indirect = true, .queues = 1 },
	{ "queues", .event_idx = true, .indirect = true, .queues = MAX_QUEUES },
	{ "iotlb", .event_idx = true, .indirect = true, .translated = true, .queues = 1 },
	{ "log", .event_idx = true, .logged = true, .queues = 1 },
	{ "file", .event_idx = true, .indirect = true, .file = true, .queues = 1 },
};

/* So many requests in each set-up. */
void run_data(unsigned int requests, bool tolerate)
{
	unsigned long total = 0, kicks = 0, calls = 0, unordered = 0;
	struct oddities sum = {};
	unsigned int i, k;

	tolerant = tolerate;
	for (i = 0; i < ARRAY_SIZE(setups); i++) {
		setup = &setups[i];
		run(requests);
		for (k = 0; k < setup->queues; k++) {
			const struct queue *q = &queues[k];

			total += q->requests;
			kicks += q->kicks;
			calls += q->calls;
			unordered += q->unordered;
			sum.ids += q->odd.ids;
			sum.lengths += q->odd.lengths;
			sum.statuses += q->odd.statuses;
			sum.data += q->odd.data;
			sum.late += q->odd.late;
		}
	}
	if (tolerant) {
		printf("vhost-ring: wrong: %lu ids, %lu lengths, %lu statuses, ",
		       sum.ids, sum.lengths, sum.statuses);
		printf("%lu data, %lu signals; %lu out of order\n", sum.data, sum.late,
		       unordered);
	}
	printf("vhost-ring: %lu requests, %zu set-ups, %lu kicks, %lu calls, ok\n",
	       total, ARRAY_SIZE(setups), kicks, calls);
}
