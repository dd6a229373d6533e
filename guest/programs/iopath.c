// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopath - what a block device's 4 KiB reads take
 *
 * Usage: iopath DISK DEPTH THREADS REQUESTS SECONDS [MARKER]
 *
 * Each thread, on a CPU of its own as far as there are, keeps DEPTH direct reads
 * of random blocks in flight until it has had REQUESTS, or SECONDS have passed.
 * Prints: requests, ns from the first request to the last answer, and of the
 * requests' own times in ns median, 99th percentile and the longest. Writes
 * "begin" and "end" to the file MARKER.
 *
 * fio does more, but starts so slowly under TCG, and has so much of its own to do
 * for a request, that there would be less to see of the device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		4096
#define MAX_DEPTH	256
#define MAX_THREADS	16
#define MAX_TIMES	1000000

struct request {
	struct iocb cb;
	unsigned long long begun;
};

static const char *path;
static unsigned long depth, most, blocks;
static unsigned long long until;
static unsigned long long times[MAX_TIMES];
static unsigned long count;

static void die(const char *what)
{
	fprintf(stderr, "iopath: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long long now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ULL + at.tv_nsec;
}

static void submit(aio_context_t context, struct request *r, unsigned long long *state)
{
	struct iocb *cb = &r->cb;

	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	cb->aio_offset = (*state >> 33) % blocks * BLOCK;
	r->begun = now();
	if (syscall(SYS_io_submit, context, 1, &cb) != 1)
		die("io_submit");
}

static void *work(void *number)
{
	unsigned long long state = (unsigned long)number, ended;
	unsigned long i, begun = 0, done = 0;
	struct request requests[MAX_DEPTH] = {};
	struct io_event events[MAX_DEPTH];
	aio_context_t context = 0;
	cpu_set_t cpus;
	long got, e;
	int disk = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	CPU_ZERO(&cpus);
	CPU_SET((unsigned long)number % sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	if (disk < 0)
		die(path);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) || syscall(SYS_io_setup, depth, &context))
		die("io_setup");
	for (i = 0; i < depth && i < most; i++, begun++) {
		struct iocb *cb = &requests[i].cb;

		cb->aio_data = (unsigned long)&requests[i];
		cb->aio_fildes = disk;
		cb->aio_lio_opcode = IOCB_CMD_PREAD;
		cb->aio_nbytes = BLOCK;
		cb->aio_buf = (unsigned long)aligned_alloc(BLOCK, BLOCK);
		if (!cb->aio_buf)
			die("memory");
		submit(context, &requests[i], &state);
	}
	while (done < begun) {
		got = syscall(SYS_io_getevents, context, 1, depth, events, NULL);
		if (got < 1)
			die("io_getevents");
		ended = now();
		for (e = 0; e < got; e++) {
			struct request *r = (void *)(unsigned long)events[e].data;

			if (events[e].res != BLOCK) {
				errno = events[e].res < 0 ? -events[e].res : EIO;
				die("read");
			}
			done++;
			i = __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
			if (i < MAX_TIMES)
				times[i] = ended - r->begun;
			if (begun < most && ended < until) {
				begun++;
				submit(context, r, &state);
			}
		}
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;

	return (x > y) - (x < y);
}

static void mark(const char *file, const char *word)
{
	int fd = file ? open(file, O_WRONLY | O_CLOEXEC) : -1;

	if (file && (fd < 0 || write(fd, word, strlen(word)) < 0))
		die(file);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	unsigned long number, n;
	unsigned long long bytes, began;
	int disk;

	if (argc < 6) {
		fprintf(stderr, "usage: iopath DISK DEPTH THREADS REQUESTS SECONDS [MARKER]\n");
		return 2;
	}
	path = argv[1];
	depth = strtoul(argv[2], NULL, 0);
	number = strtoul(argv[3], NULL, 0);
	most = strtoul(argv[4], NULL, 0);
	if (!depth || depth > MAX_DEPTH || !number || number > MAX_THREADS || !most) {
		fprintf(stderr, "iopath: at most %d requests in flight, %d threads\n",
			MAX_DEPTH, MAX_THREADS);
		return 2;
	}
	disk = open(path, O_RDONLY | O_CLOEXEC);
	if (disk < 0 || ioctl(disk, BLKGETSIZE64, &bytes))
		die(path);
	blocks = bytes / BLOCK;
	mark(argc > 6 ? argv[6] : NULL, "begin");
	began = now();
	until = began + strtod(argv[5], NULL) * 1e9;
	for (n = 0; n < number; n++) {
		if (pthread_create(&threads[n], NULL, work, (void *)n))
			die("thread");
	}
	for (n = 0; n < number; n++)
		pthread_join(threads[n], NULL);
	began = now() - began;
	mark(argc > 6 ? argv[6] : NULL, "end");
	n = count < MAX_TIMES ? count : MAX_TIMES;
	qsort(times, n, sizeof(times[0]), compare);
	printf("requests %lu\nns %llu\nmedian %llu\np99 %llu\nlongest %llu\n", count, began,
	       times[n / 2], times[n * 99 / 100], times[n - 1]);
	return 0;
}
