// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drives /dev/vhost-pykit with a split virtqueue of its own: writes, reads and
 * compares in random sizes and depths, with and without EVENT_IDX and indirect
 * descriptors, and checks each used entry.
 *
 *	gcc -static -O2 -o vhost_ring vhost_ring.c
 *	vhost_ring [-n requests] [-s seed]
 *
 * The number of requests is for each of the four sets of features. One line on
 * standard output says how it went; the exit code is 0 if all was well, else 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../kernel/include/uapi/linux/pykit_vhost.h"

#define QUEUE_SIZE	128
#define SLOTS		24
#define SECTOR		512
#define MAX_SECTORS	128
#define MAX_PARTS	4
#define MAX_RANGES	4
#define DISK_SECTORS	4096
#define TIMEOUT_MS	10000

/* A request in flight; what the device sees of it is in the mapping. */
struct slot {
	struct virtio_blk_outhdr hdr;
	struct virtio_blk_discard_write_zeroes ranges[MAX_RANGES];
	vring_desc_t table[MAX_PARTS + 2];
	__u8 data[MAX_SECTORS * SECTOR];
	__u8 status;

	/* The device has no business with the rest. */
	bool busy;
	__u16 head;
	__u8 want_status;
	__u32 want_len;
	unsigned int sectors;
	__u32 want[MAX_SECTORS];
};

struct memory {
	union {
		struct vring_desc desc[QUEUE_SIZE];
		char desc_page[4096];
	};
	union {
		struct {
			struct vring_avail avail;
			__u16 avail_ring[QUEUE_SIZE];
			__u16 used_event;
		};
		char avail_page[4096];
	};
	union {
		struct {
			struct vring_used used;
			struct vring_used_elem used_ring[QUEUE_SIZE];
			__u16 avail_event;
		};
		char used_page[4096];
	};
	struct slot slots[SLOTS];
};

static struct memory *mem;
static int dev, kick_fd, call_fd;
static bool event_idx, indirect;

/* Free descriptors, linked by next; what was made available, kicked, taken. */
static __u16 free_head, num_free, avail_idx, kicked_idx, last_used;
static struct slot *heads[QUEUE_SIZE];

/* What each sector should hold: the number of the write, 0 for zeroes. */
static __u32 model[DISK_SECTORS];
static __u32 writes;

static unsigned long requests, kicks, calls;

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("vhost-ring: after %lu requests: ", requests);
	vprintf(format, args);
	printf(", failed\n");
	va_end(args);
	exit(1);
}

static void must(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, strerror(errno));
}

static unsigned int random_below(unsigned int limit)
{
	return random() % limit;
}

/* Word @i of a sector's contents. */
static __u32 pattern(__u32 sector, __u32 write, unsigned int i)
{
	return write ? (sector * 2654435761u) ^ (write << 8) ^ i : 0;
}

static void set_up_queue(void)
{
	struct vhost_vring_state num = { .num = QUEUE_SIZE };
	struct vhost_vring_state base = { .num = 0 };
	struct vhost_vring_addr addr = {
		.desc_user_addr = (uintptr_t)mem->desc,
		.avail_user_addr = (uintptr_t)&mem->avail,
		.used_user_addr = (uintptr_t)&mem->used,
	};
	struct vhost_vring_file kick = { .fd = kick_fd };
	struct vhost_vring_file call = { .fd = call_fd };

	must(ioctl(dev, VHOST_SET_VRING_NUM, &num), "VHOST_SET_VRING_NUM");
	must(ioctl(dev, VHOST_SET_VRING_BASE, &base), "VHOST_SET_VRING_BASE");
	must(ioctl(dev, VHOST_SET_VRING_ADDR, &addr), "VHOST_SET_VRING_ADDR");
	must(ioctl(dev, VHOST_SET_VRING_KICK, &kick), "VHOST_SET_VRING_KICK");
	must(ioctl(dev, VHOST_SET_VRING_CALL, &call), "VHOST_SET_VRING_CALL");
}

static void set_up(void)
{
	struct {
		struct vhost_memory table;
		struct vhost_memory_region region;
	} regions = {
		.table.nregions = 1,
		.region = {
			.guest_phys_addr = (uintptr_t)mem,
			.memory_size = sizeof(*mem),
			.userspace_addr = (uintptr_t)mem,
		},
	};
	__u64 wanted = 1ULL << VIRTIO_F_VERSION_1 |
			  1ULL << VIRTIO_BLK_F_FLUSH |
			  1ULL << VIRTIO_BLK_F_DISCARD |
			  1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	__u64 offered, bytes = DISK_SECTORS * SECTOR;
	unsigned int i;

	if (event_idx)
		wanted |= 1ULL << VIRTIO_RING_F_EVENT_IDX;
	if (indirect)
		wanted |= 1ULL << VIRTIO_RING_F_INDIRECT_DESC;

	memset(mem, 0, sizeof(*mem));
	memset(model, 0, sizeof(model));
	free_head = 0;
	num_free = QUEUE_SIZE;
	avail_idx = 0;
	kicked_idx = 0;
	last_used = 0;
	for (i = 0; i < QUEUE_SIZE; i++)
		mem->desc[i].next = i + 1;

	dev = open(PYKIT_VHOST_DEV, O_RDWR);
	must(dev, PYKIT_VHOST_DEV);
	kick_fd = eventfd(0, EFD_NONBLOCK);
	must(kick_fd, "eventfd");
	call_fd = eventfd(0, EFD_NONBLOCK);
	must(call_fd, "eventfd");
	must(ioctl(dev, VHOST_SET_OWNER), "VHOST_SET_OWNER");
	must(ioctl(dev, VHOST_GET_FEATURES, &offered), "VHOST_GET_FEATURES");
	if (wanted & ~offered)
		fail("features %#llx are not on offer",
		     (unsigned long long)(wanted & ~offered));
	must(ioctl(dev, VHOST_SET_FEATURES, &wanted), "VHOST_SET_FEATURES");
	must(ioctl(dev, VHOST_SET_MEM_TABLE, &regions), "VHOST_SET_MEM_TABLE");
	set_up_queue();
	must(ioctl(dev, PYKIT_VHOST_START, &bytes), "PYKIT_VHOST_START");
}

static void tear_down(void)
{
	struct vhost_vring_state base = { .index = 0 };

	must(ioctl(dev, PYKIT_VHOST_STOP), "PYKIT_VHOST_STOP");
	must(ioctl(dev, VHOST_GET_VRING_BASE, &base), "VHOST_GET_VRING_BASE");
	if (base.num != avail_idx)
		fail("the device stands at %u of %u", base.num, avail_idx);
	close(dev);
	close(kick_fd);
	close(call_fd);
}

static struct vring_desc *add_desc(struct vring_desc *desc, void *addr,
				   __u32 len, __u16 flags)
{
	desc->addr = (uintptr_t)addr;
	desc->len = len;
	desc->flags = flags | VRING_DESC_F_NEXT;
	return desc;
}

/* The parts of a request, as (address, length, flags), in @parts. */
static unsigned int build(struct slot *s, struct vring_desc *parts)
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
			cut = n < MAX_PARTS ? 1 + random_below(left) : left;
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

static void expose(struct slot *s, const struct vring_desc *parts,
		   unsigned int n)
{
	__u16 slot = free_head, next;
	unsigned int i;

	s->head = slot;
	heads[slot] = s;
	if (indirect) {
		for (i = 0; i < n; i++) {
			s->table[i] = parts[i];
			s->table[i].next = i + 1;
		}
		mem->desc[slot].addr = (uintptr_t)s->table;
		mem->desc[slot].len = n * sizeof(s->table[0]);
		mem->desc[slot].flags = VRING_DESC_F_INDIRECT;
		free_head = mem->desc[slot].next;
		num_free--;
	} else {
		for (i = 0; i < n; i++) {
			next = mem->desc[slot].next;
			mem->desc[slot] = parts[i];
			mem->desc[slot].next = next;
			slot = next;
		}
		free_head = slot;
		num_free -= n;
	}
	mem->avail_ring[avail_idx % QUEUE_SIZE] = s->head;
	__atomic_store_n(&mem->avail.idx, ++avail_idx, __ATOMIC_RELEASE);
	s->busy = true;
}

static void kick(void)
{
	__u64 one = 1;
	bool needed;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (event_idx)
		needed = vring_need_event(__atomic_load_n(&mem->avail_event,
							  __ATOMIC_RELAXED),
					  avail_idx, kicked_idx);
	else
		needed = !(__atomic_load_n(&mem->used.flags, __ATOMIC_RELAXED) &
			   VRING_USED_F_NO_NOTIFY);
	kicked_idx = avail_idx;
	if (!needed)
		return;
	must(write(kick_fd, &one, sizeof(one)), "kick");
	kicks++;
}

static void fill_out(struct slot *s)
{
	__u32 *word = (__u32 *)s->data;
	unsigned int i, k;

	writes++;
	for (i = 0; i < s->sectors; i++) {
		model[s->hdr.sector + i] = writes;
		for (k = 0; k < SECTOR / sizeof(*word); k++)
			*word++ = pattern(s->hdr.sector + i, writes, k);
	}
}

/* Requests are served in order: what a read will find is known by now. */
static void fill_in(struct slot *s)
{
	memset(s->data, 0xa5, s->sectors * SECTOR);
	memcpy(s->want, &model[s->hdr.sector], s->sectors * sizeof(s->want[0]));
	s->want_len = s->sectors * SECTOR + 1;
}

static void fill_ranges(struct slot *s)
{
	unsigned int i;

	s->sectors = 1 + random_below(MAX_RANGES);
	for (i = 0; i < s->sectors; i++) {
		__u32 first = random_below(DISK_SECTORS - MAX_SECTORS);
		__u32 count = 1 + random_below(MAX_SECTORS);

		s->ranges[i].sector = first;
		s->ranges[i].num_sectors = count;
		s->ranges[i].flags = 0;
		memset(&model[first], 0, count * sizeof(model[0]));
	}
}

static void fill(struct slot *s)
{
	unsigned int dice = random_below(100);

	s->sectors = 1 + random_below(random_below(4) ? 16 : MAX_SECTORS);
	s->hdr.sector = 0;
	s->hdr.ioprio = 0;
	s->status = 0xff;
	s->want_status = VIRTIO_BLK_S_OK;
	s->want_len = 1;
	if (dice < 45) {
		s->hdr.type = VIRTIO_BLK_T_OUT;
		s->hdr.sector = random_below(DISK_SECTORS - MAX_SECTORS);
		fill_out(s);
	} else if (dice < 88) {
		s->hdr.type = VIRTIO_BLK_T_IN;
		s->hdr.sector = random_below(DISK_SECTORS - MAX_SECTORS);
		fill_in(s);
	} else if (dice < 92) {
		s->hdr.type = VIRTIO_BLK_T_FLUSH;
	} else if (dice < 94) {
		s->hdr.type = VIRTIO_BLK_T_DISCARD;
		fill_ranges(s);
	} else if (dice < 96) {
		s->hdr.type = VIRTIO_BLK_T_WRITE_ZEROES;
		fill_ranges(s);
	} else if (dice < 98) {
		s->hdr.type = VIRTIO_BLK_T_GET_ID;
		s->want_len = VIRTIO_BLK_ID_BYTES + 1;
	} else if (dice < 99) {
		s->hdr.type = VIRTIO_BLK_T_SCSI_CMD;
		s->want_status = VIRTIO_BLK_S_UNSUPP;
	} else {
		/* One sector beyond the end: nothing is read. */
		s->hdr.type = VIRTIO_BLK_T_IN;
		s->hdr.sector = DISK_SECTORS - s->sectors + 1;
		s->want_status = VIRTIO_BLK_S_IOERR;
		s->want_len = 0;
	}
}

static struct slot *free_slot(void)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (!mem->slots[i].busy)
			return &mem->slots[i];
	return NULL;
}

static bool submit(void)
{
	struct vring_desc parts[MAX_PARTS + 2];
	struct slot *s = free_slot();

	if (!s || num_free < MAX_PARTS + 2)
		return false;
	fill(s);
	expose(s, parts, build(s, parts));
	requests++;
	return true;
}

static void check_data(const struct slot *s)
{
	const __u32 *word = (const __u32 *)s->data;
	unsigned int i, k;

	for (i = 0; i < s->sectors; i++)
		for (k = 0; k < SECTOR / sizeof(*word); k++, word++)
			if (*word != pattern(s->hdr.sector + i, s->want[i], k))
				fail("wrong data in sector %llu",
				     (unsigned long long)s->hdr.sector + i);
}

static void free_chain(__u16 head)
{
	__u16 last = head;

	num_free++;
	while (mem->desc[last].flags & VRING_DESC_F_NEXT) {
		last = mem->desc[last].next;
		num_free++;
	}
	mem->desc[last].next = free_head;
	free_head = head;
}

static void take(const struct vring_used_elem *used)
{
	struct slot *s;

	if (used->id >= QUEUE_SIZE || !heads[used->id])
		fail("used id %u is not outstanding", used->id);
	s = heads[used->id];
	if (used->len != s->want_len)
		fail("type %u: used length %u, not %u", s->hdr.type, used->len,
		     s->want_len);
	if (s->status != s->want_status)
		fail("type %u: status %u, not %u", s->hdr.type, s->status,
		     s->want_status);
	if (s->status == VIRTIO_BLK_S_OK && s->hdr.type == VIRTIO_BLK_T_IN)
		check_data(s);
	if (s->hdr.type == VIRTIO_BLK_T_GET_ID &&
	    strcmp((char *)s->data, PYKIT_VHOST_ID))
		fail("identity \"%.20s\"", s->data);
	heads[used->id] = NULL;
	free_chain(used->id);
	s->busy = false;
}

static bool more_used(void)
{
	return last_used != __atomic_load_n(&mem->used.idx, __ATOMIC_ACQUIRE);
}

static void take_all(void)
{
	while (more_used()) {
		take(&mem->used_ring[last_used % QUEUE_SIZE]);
		last_used++;
	}
	if ((__u16)(avail_idx - last_used) > SLOTS)
		fail("used index %u is ahead of %u", last_used, avail_idx);
}

/* Sleep until the device has used something. */
static void wait_used(void)
{
	struct pollfd pfd = { .fd = call_fd, .events = POLLIN };
	__u64 count;

	mem->avail.flags = 0;
	mem->used_event = last_used;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (!more_used()) {
		if (poll(&pfd, 1, TIMEOUT_MS) != 1)
			fail("no call within %d ms, %u of %u used", TIMEOUT_MS,
			     last_used, avail_idx);
		must(read(call_fd, &count, sizeof(count)), "call");
		calls += count;
	}
	if (!event_idx)
		mem->avail.flags = VRING_AVAIL_F_NO_INTERRUPT;
}

static void run(unsigned int count)
{
	unsigned int depth, left = count;

	set_up();
	while (left || last_used != avail_idx) {
		depth = 1 + random_below(SLOTS);
		while (left && depth-- && submit())
			left--;
		kick();
		if (random_below(2) || !left || !free_slot())
			wait_used();
		take_all();
	}
	tear_down();
}

int main(int argc, char **argv)
{
	unsigned int count = 2000, seed = 1, sets;
	int option;

	while ((option = getopt(argc, argv, "n:s:")) != -1) {
		switch (option) {
		case 'n':
			count = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr, "usage: vhost_ring [-n requests] [-s seed]\n");
			return 1;
		}
	}
	srandom(seed);
	mem = mmap(NULL, sizeof(*mem), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	for (sets = 0; sets < 4; sets++) {
		event_idx = sets & 1;
		indirect = sets & 2;
		run(count);
	}
	printf("vhost-ring: %lu requests, %u sets of features, %lu kicks, %lu calls, ok\n",
	       requests, sets, kicks, calls);
	return 0;
}
