// SPDX-License-Identifier: GPL-2.0-only
/*
 * blkio - requests to a block device, every byte verified
 *
 * Usage: blkio DISK REQUESTS DEPTH BYTES [SEED]
 *
 * Keeps DEPTH requests of 512 to BYTES bytes in flight, half of them reads,
 * until there were REQUESTS; a flush after every 64th. All begin together: a
 * ring with less room than DEPTH requests need is full once at least. What is
 * read has to be what was written there last: a read takes the place that was
 * written longest ago and not read since, if there is one. Nothing in flight
 * overlaps anything else. The buffer of a write, and the memory behind each buffer, have
 * to be as they were: with direct I/O the device gets the buffers themselves.
 * Then a range is zeroed and another discarded, and the first is read again,
 * where the disk can do either; what is behind each is as it was.
 *
 * fio does more and takes a second to start under TCG; this takes no time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR		512
#define MAX_DEPTH	256
#define REGION		8192	/* sectors that are used */
#define ZEROED		64	/* sectors, at the start of the region and right behind */
#define UNREAD		1024	/* places to read that are kept in mind */
#define GUARD		0x5a	/* in a sector behind each buffer */

struct request {
	struct iocb cb;
	unsigned char *buffer;
	unsigned int first;
	unsigned int count;
	int write;
};

/* Places that were written and not read since, the longest ago first. */
static struct {
	unsigned int first;
	unsigned int count;
} unread[UNREAD];
static unsigned int oldest, newest;

static unsigned int generation[REGION];
static unsigned char taken[REGION];
static unsigned int sectors;
static unsigned long long state;
static int disk;

static unsigned int chance(unsigned int below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % below;
}

static void die(const char *what, unsigned int sector)
{
	fprintf(stderr, "blkio: sector %u: %s\n", sector, what);
	exit(1);
}

/* What a sector holds after it was written so many times; never written: what it had. */
static void pattern(unsigned char *data, unsigned int sector)
{
	unsigned long long value = ((unsigned long long)sector << 32) + generation[sector];
	unsigned int i;

	for (i = 0; i < SECTOR / 8; i++, value += 0x9e3779b97f4a7c15ULL)
		memcpy(data + 8 * i, &value, 8);
}

/* Whether a sector of memory is what its number says. */
static int holds(const unsigned char *data, unsigned int sector)
{
	unsigned char wanted[SECTOR];

	pattern(wanted, sector);
	return !memcmp(wanted, data, SECTOR);
}

/* Whether nothing in flight is where a request goes. */
static int is_free(const struct request *r)
{
	return !memchr(taken + r->first, 1, r->count);
}

static void choose_place(struct request *r, unsigned int most)
{
	unsigned int tries;

	if (!r->write && oldest != newest) {
		r->first = unread[oldest % UNREAD].first;
		r->count = unread[oldest % UNREAD].count;
		if (is_free(r)) {
			oldest++;
			return;
		}
	}
	/* The least that leaves room for DEPTH of the largest is checked in main(). */
	for (tries = 0; tries < 10000; tries++) {
		r->count = 1 + chance(most);
		r->first = chance(sectors - r->count);
		if (is_free(r))
			return;
	}
	die("no room for another request", r->first);
}

static void note_written(const struct request *r)
{
	/* The oldest one goes where there are too many. */
	oldest += newest - oldest == UNREAD;
	unread[newest % UNREAD].first = r->first;
	unread[newest % UNREAD].count = r->count;
	newest++;
}

static void prepare(struct request *r, unsigned int most)
{
	unsigned int i;

	r->write = chance(2);
	choose_place(r, most);
	memset(taken + r->first, 1, r->count);
	for (i = 0; r->write && i < r->count; i++) {
		generation[r->first + i]++;
		pattern(r->buffer + i * SECTOR, r->first + i);
	}
	memset(r->buffer + r->count * SECTOR, GUARD, SECTOR);
	memset(&r->cb, 0, sizeof(r->cb));
	r->cb.aio_data = (unsigned long)r;
	r->cb.aio_fildes = disk;
	r->cb.aio_lio_opcode = r->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	r->cb.aio_buf = (unsigned long)r->buffer;
	r->cb.aio_nbytes = r->count * SECTOR;
	r->cb.aio_offset = (long long)r->first * SECTOR;
}

static void verify(const struct request *r, long long result)
{
	const unsigned char *behind = r->buffer + r->count * SECTOR;
	unsigned int i;

	if (result != r->count * SECTOR)
		die(result < 0 ? strerror(-result) : "a part of a request only", r->first);
	for (i = 0; i < r->count; i++) {
		if (!generation[r->first + i] || holds(r->buffer + i * SECTOR, r->first + i))
			continue;
		die(r->write ? "the buffer of a write was altered" : "not what was written",
		    r->first + i);
	}
	for (i = 0; i < SECTOR; i++) {
		if (behind[i] != GUARD)
			die("memory behind a buffer was altered", r->first + r->count);
	}
	memset(taken + r->first, 0, r->count);
	if (r->write)
		note_written(r);
}

/* In one call, so that what was ready together reaches the driver together. */
static void submit(aio_context_t context, struct iocb **cbs, long count)
{
	long begun;

	for (; count; count -= begun, cbs += begun) {
		begun = syscall(SYS_io_submit, context, count, cbs);
		if (begun < 1)
			die(strerror(errno), 0);
	}
}

/* Write the sectors behind a range, before it is zeroed or discarded. */
static void fill_behind(unsigned char *data, unsigned int first)
{
	unsigned int i;

	for (i = 0; i < ZEROED; i++) {
		generation[first + i]++;
		pattern(data + i * SECTOR, first + i);
	}
	if (pwrite(disk, data, ZEROED * SECTOR, (long long)first * SECTOR) != ZEROED * SECTOR)
		die("cannot be written behind a range", first);
}

/* What is behind it is as it was. */
static void check_behind(unsigned char *data, unsigned int first)
{
	unsigned int i;

	if (pread(disk, data, ZEROED * SECTOR, (long long)first * SECTOR) != ZEROED * SECTOR)
		die("cannot be read behind a range", first);
	for (i = 0; i < ZEROED; i++) {
		if (!holds(data + i * SECTOR, first + i))
			die("not what was written, behind a range", first + i);
	}
}

static void check_ranges(void)
{
	static unsigned char zeros[SECTOR];
	unsigned char *data = aligned_alloc(4096, ZEROED * SECTOR);
	unsigned long long range[2] = { 0, ZEROED * SECTOR };
	unsigned int i;

	if (!data)
		die("no memory", 0);
	fill_behind(data, ZEROED);
	fill_behind(data, 2 * ZEROED);
	if (ioctl(disk, BLKZEROOUT, range))
		die(strerror(errno), 0);
	if (pread(disk, data, ZEROED * SECTOR, 0) != ZEROED * SECTOR)
		die("cannot be read after it was zeroed", 0);
	for (i = 0; i < ZEROED; i++) {
		if (memcmp(data + i * SECTOR, zeros, SECTOR))
			die("not zero after it was zeroed", i);
	}
	check_behind(data, ZEROED);
	range[0] = range[1];
	if (ioctl(disk, BLKDISCARD, range) && errno != EOPNOTSUPP)
		die(strerror(errno), ZEROED);
	check_behind(data, 2 * ZEROED);
	free(data);
}

int main(int argc, char **argv)
{
	static struct request requests[MAX_DEPTH];
	static struct io_event events[MAX_DEPTH];
	static struct iocb *cbs[MAX_DEPTH];
	unsigned long total, depth, begun = 0, done = 0, flushes = 0;
	unsigned int most, ready, flush, i;
	unsigned long long bytes;
	aio_context_t context = 0;
	long got;

	if (argc < 5) {
		fprintf(stderr, "usage: blkio DISK REQUESTS DEPTH BYTES [SEED]\n");
		return 2;
	}
	disk = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk < 0 || ioctl(disk, BLKGETSIZE64, &bytes)) {
		perror(argv[1]);
		return 1;
	}
	total = strtoul(argv[2], NULL, 0);
	depth = strtoul(argv[3], NULL, 0);
	most = strtoul(argv[4], NULL, 0) / SECTOR;
	state = argc > 5 ? strtoull(argv[5], NULL, 0) : 1;
	sectors = bytes / SECTOR < REGION ? bytes / SECTOR : REGION;
	if (!depth || depth > MAX_DEPTH || !most || depth * most * 4 > sectors ||
	    sectors < 3 * ZEROED) {
		fprintf(stderr, "blkio: %lu requests of up to %u sectors do not fit in %u\n",
			depth, most, sectors);
		return 2;
	}
	if (syscall(SYS_io_setup, depth, &context)) {
		perror("io_setup");
		return 1;
	}
	for (i = 0; i < depth; i++) {
		requests[i].buffer = aligned_alloc(4096, ((most + 1) * SECTOR + 4095) & ~4095UL);
		if (!requests[i].buffer)
			die("no memory", 0);
		events[i].data = (unsigned long)&requests[i];
	}
	got = depth;
	while (done < total) {
		ready = 0;
		flush = 0;
		/* What just ended, or at first all there are. */
		for (i = 0; i < got; i++) {
			struct request *r = (void *)(unsigned long)events[i].data;

			if (r->count) {
				verify(r, events[i].res);
				r->count = 0;
				flush |= ++done % 64 == 0;
			}
			if (begun == total)
				continue;
			prepare(r, most);
			cbs[ready++] = &r->cb;
			begun++;
		}
		submit(context, cbs, ready);
		if (flush && fdatasync(disk))
			die(strerror(errno), 0);
		flushes += flush;
		if (done == total)
			break;
		got = syscall(SYS_io_getevents, context, 1, depth, events, NULL);
		if (got < 0 && errno == EINTR)
			got = 0;
		else if (got < 0)
			die(strerror(errno), 0);
	}
	check_ranges();
	printf("blkio: %lu requests, %lu at a time, all bytes right; %lu flushes\n", done, depth,
	       flushes);
	return 0;
}
