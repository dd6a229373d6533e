// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drives /dev/vhost-pykit with split virtqueues of its own.
 *
 *	vhost_ring [-n requests] [-s seed] [-t]
 *
 * Writes, reads and compares in random sizes and depths, in several set-ups with
 * so many requests each, and checks each used entry. With -t it counts what the
 * device does wrong and goes on. One line on standard output says how it went.
 *
 *	vhost_ring --checks
 *
 * What has to be refused is, with the errno of the kernel's own vhost drivers;
 * one line each.
 *
 *	vhost_ring --malformed count [-s seed]
 *
 * So many random rings that are not as they should be; the same seed makes the
 * same ones. Nothing is written where the chain does not allow it.
 *
 * The exit code is 0 if all was well, else 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost_ring.h"

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("vhost-ring: ");
	vprintf(format, args);
	printf(", failed\n");
	va_end(args);
	fflush(stdout);
	_exit(1);
}

void must(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, strerror(errno));
}

/* Memory that is zero. */
void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	return memory;
}

int open_device(const char *path)
{
	int dev = open(path, O_RDWR | O_CLOEXEC);

	must(dev, path);
	return dev;
}

int set_memory(int dev, __u64 bus, const void *memory, size_t bytes)
{
	struct {
		struct vhost_memory table;
		struct vhost_memory_region region;
	} regions = {
		.table.nregions = 1,
		.region = {
			.guest_phys_addr = bus,
			.memory_size = bytes,
			.userspace_addr = (uintptr_t)memory,
		},
	};

	return ioctl(dev, VHOST_SET_MEM_TABLE, &regions);
}

/* Size, base and addresses of a queue; @log is where the used ring is logged. */
int set_rings(int dev, unsigned int queue, __u64 desc, __u64 avail, __u64 used,
	      __u64 log)
{
	struct vhost_vring_state num = { .index = queue, .num = QUEUE_SIZE };
	struct vhost_vring_state base = { .index = queue };
	struct vhost_vring_addr addr = {
		.index = queue,
		.flags = log ? 1 << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = desc,
		.avail_user_addr = avail,
		.used_user_addr = used,
		.log_guest_addr = log,
	};

	if (ioctl(dev, VHOST_SET_VRING_NUM, &num) < 0 ||
	    ioctl(dev, VHOST_SET_VRING_BASE, &base) < 0)
		return -1;
	return ioctl(dev, VHOST_SET_VRING_ADDR, &addr);
}

int set_kick(int dev, unsigned int queue, int kick, int call)
{
	struct vhost_vring_file kick_file = { .index = queue, .fd = kick };
	struct vhost_vring_file call_file = { .index = queue, .fd = call };

	if (ioctl(dev, VHOST_SET_VRING_KICK, &kick_file) < 0)
		return -1;
	return ioctl(dev, VHOST_SET_VRING_CALL, &call_file);
}

int set_features(int dev, __u64 wanted)
{
	__u64 offered;

	must(ioctl(dev, VHOST_GET_FEATURES, &offered), "VHOST_GET_FEATURES");
	if (wanted & ~offered)
		fail("features %#llx are not on offer",
		     (unsigned long long)(wanted & ~offered));
	return ioctl(dev, VHOST_SET_FEATURES, &wanted);
}

static int usage(void)
{
	fprintf(stderr, "use: vhost_ring [-n requests] [-s seed] [-t]\n"
			"     vhost_ring --checks\n"
			"     vhost_ring --malformed count [-s seed]\n");
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "checks", no_argument, NULL, 'c' },
		{ "malformed", required_argument, NULL, 'm' },
		{ "seed", required_argument, NULL, 's' },
		{}
	};
	unsigned long requests = 2000, malformed = 0, seed = 1;
	bool tolerant = false, checks = false;
	int option;

	while ((option = getopt_long(argc, argv, "n:s:t", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			requests = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 't':
			tolerant = true;
			break;
		case 'c':
			checks = true;
			break;
		case 'm':
			malformed = strtoul(optarg, NULL, 0);
			break;
		default:
			return usage();
		}
	}
	if (optind < argc)
		return usage();
	srandom(seed);
	if (checks)
		return run_checks();
	if (malformed)
		return run_malformed(malformed, seed);
	run_data(requests, tolerant);
	return 0;
}
