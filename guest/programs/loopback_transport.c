// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device, by /dev/pykit-loopback: its driver's addresses are physical ones, or
 * offsets into the memory that its buffers are copied through.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loopback.h"

static void map_range(struct device *d, int fd, unsigned long first,
		      unsigned long last)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	struct region *region = &d->regions[d->num_regions];

	first = (first + page - 1) & -page;
	last = (last + 1) & -page;
	if (first >= last)
		return;
	if (d->num_regions == MAX_REGIONS)
		fail("memory has more than %d ranges", MAX_REGIONS);
	region->at = first;
	region->bytes = last - first;
	region->here = mmap(NULL, region->bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, first);
	if (region->here == MAP_FAILED)
		fail("memory from %#lx to %#lx: %s", first, last, strerror(errno));
	d->num_regions++;
}

/* Map all memory that a driver may name. */
static void map_memory(struct device *d, int fd)
{
	FILE *map = fopen("/proc/iomem", "re");
	unsigned long first, last;
	char line[256];
	int name;

	if (!map)
		fail("/proc/iomem: %s", strerror(errno));
	while (fgets(line, sizeof(line), map)) {
		/* Parts of a range are indented. */
		if (line[0] != ' ' &&
		    sscanf(line, "%lx-%lx : %n", &first, &last, &name) == 2 &&
		    !strcmp(line + name, "System RAM\n"))
			map_range(d, fd, first, last);
	}
	fclose(map);
	if (!d->num_regions)
		fail("/proc/iomem shows no memory: are you root?");
}

static void follow(struct device *d, int fd)
{
	struct pykit_loopback_state state;
	static bool running;

	must(ioctl(fd, PYKIT_LOOPBACK_STATE, &state), "PYKIT_LOOPBACK_STATE");
	if (running)
		rest(d);
	running = state.running;
	if (running)
		serve(d, &state);
	if (ioctl(fd, PYKIT_LOOPBACK_DONE, &state.serial) < 0 && errno != EAGAIN)
		fail("PYKIT_LOOPBACK_DONE: %s", strerror(errno));
}

static void run(struct device *d)
{
	int fd = must(open(PYKIT_LOOPBACK_DEV, O_RDWR | O_CLOEXEC),
		      PYKIT_LOOPBACK_DEV);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int timeout = d->options.drain_ms ? (int)d->options.drain_ms : -1;
	struct pykit_loopback_events events;
	unsigned int i;

	if (d->about.bounce_mib)
		d->about.features |= BIT(VIRTIO_F_ACCESS_PLATFORM);
	for (i = 0; i < d->about.num_queues; i++) {
		events.queue = i;
		events.kick = d->kick[i];
		events.call = d->call[i];
		must(ioctl(fd, PYKIT_LOOPBACK_SET_EVENTS, &events),
		     "PYKIT_LOOPBACK_SET_EVENTS");
	}
	must(ioctl(fd, PYKIT_LOOPBACK_CREATE, &d->about),
	     "PYKIT_LOOPBACK_CREATE");
	if (d->about.bounce_mib)
		map_range(d, fd, 0, ((unsigned long)d->about.bounce_mib << 20) - 1);
	else
		map_memory(d, fd);
	for (;;) {
		must(poll(&pfd, 1, timeout), "poll");
		if (pfd.revents & POLLERR)
			fail("the device could not be registered, see the kernel's log");
		if (pfd.revents & POLLIN)
			follow(d, fd);
		if (d->options.drain_ms)
			must(ioctl(fd, PYKIT_LOOPBACK_DRAIN),
			     "PYKIT_LOOPBACK_DRAIN");
	}
}

const struct way transport = {
	.name = "transport",
	.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
		    BIT(VIRTIO_RING_F_EVENT_IDX),
	.run = run,
};
