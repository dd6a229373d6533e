// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device, by VDUSE and virtio_vdpa: its driver's addresses are those of a
 * bounce buffer that the kernel lets us map.
 *
 * The device is on the vDPA bus only when it was put there (vdpa dev add name NAME
 * mgmtdev vduse). What is behind an address is known only after the driver has
 * used it, and nobody is told: so the back-end starts with the first kick.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/vduse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loopback.h"

/* Whether a driver has started the device, and whether the back-end serves it. */
static bool started, serving;

static int create(struct device *d)
{
	const struct pykit_loopback_device *about = &d->about;
	struct vduse_dev_config *config;
	struct vduse_vq_config vq = { };
	__u64 version = VDUSE_API_VERSION;
	char path[64];
	int control, fd;

	if (about->drop_every || about->delay_every || about->fake_every ||
	    d->options.drain_ms)
		fail("interrupts are not ours to spoil: use the way transport");
	control = must(open("/dev/vduse/control", O_RDWR | O_CLOEXEC),
		       "/dev/vduse/control");
	must(ioctl(control, VDUSE_SET_API_VERSION, &version),
	     "VDUSE_SET_API_VERSION");
	config = calloc(1, sizeof(*config) + about->config_len);
	if (!config)
		fail("no memory");
	snprintf(config->name, sizeof(config->name), "%s", d->options.name);
	config->device_id = about->id;
	config->features = about->features | BIT(VIRTIO_F_ACCESS_PLATFORM);
	config->vq_num = about->num_queues;
	config->vq_align = sysconf(_SC_PAGESIZE);
	config->config_size = about->config_len;
	memcpy(config->config, about->config, about->config_len);
	must(ioctl(control, VDUSE_CREATE_DEV, config), "VDUSE_CREATE_DEV");
	free(config);
	snprintf(path, sizeof(path), "/dev/vduse/%s", d->options.name);
	fd = must(open(path, O_RDWR | O_CLOEXEC), path);
	for (; vq.index < about->num_queues; vq.index++) {
		vq.max_size = about->queues[vq.index].size;
		must(ioctl(fd, VDUSE_VQ_SETUP, &vq), "VDUSE_VQ_SETUP");
	}
	return fd;
}

/* The virtio device's name ends with its index. */
static __u32 find_index(struct device *d)
{
	static const char key[] = "/virtio";
	char pattern[96];
	__u32 index;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/sys/bus/vdpa/devices/%s%s[0-9]*",
		 d->options.name, key);
	if (glob(pattern, 0, NULL, &found))
		fail("there is no %s", pattern);
	index = strtoul(strstr(found.gl_pathv[0], key) + strlen(key), NULL, 10);
	globfree(&found);
	return index;
}

static void map_memory(struct device *d, int fd)
{
	struct vduse_iotlb_entry entry = { .last = -1 };
	int memory;

	while ((memory = ioctl(fd, VDUSE_IOTLB_GET_FD, &entry)) >= 0) {
		struct region *region = &d->regions[d->num_regions];

		if (d->num_regions++ == MAX_REGIONS)
			fail("memory has more than %d regions", MAX_REGIONS);
		region->at = entry.start;
		region->bytes = entry.last - entry.start + 1;
		region->here = mmap(NULL, region->bytes,
				    (entry.perm & VDUSE_ACCESS_RO ? PROT_READ : 0) |
				    (entry.perm & VDUSE_ACCESS_WO ? PROT_WRITE : 0),
				    MAP_SHARED, memory, entry.offset);
		if (region->here == MAP_FAILED)
			fail("memory at %#llx: %s",
			     (unsigned long long)entry.start, strerror(errno));
		close(memory);
		entry.start = entry.last + 1;
		entry.last = -1;
	}
}

static void unmap_memory(struct device *d)
{
	while (d->num_regions) {
		d->num_regions--;
		munmap(d->regions[d->num_regions].here,
		       d->regions[d->num_regions].bytes);
	}
}

static void start(struct device *d, int fd)
{
	struct pykit_loopback_state state = { .index = find_index(d) };
	struct vduse_vq_info info = { };
	__u64 features;

	map_memory(d, fd);
	must(ioctl(fd, VDUSE_DEV_GET_FEATURES, &features),
	     "VDUSE_DEV_GET_FEATURES");
	state.features = features;
	for (; info.index < d->about.num_queues; info.index++) {
		struct pykit_loopback_ring *ring = &state.rings[info.index];

		must(ioctl(fd, VDUSE_VQ_GET_INFO, &info), "VDUSE_VQ_GET_INFO");
		if (!info.ready)
			continue;
		ring->size = info.num;
		ring->desc = info.desc_addr;
		ring->avail = info.driver_addr;
		ring->used = info.device_addr;
	}
	serve(d, &state);
	serving = true;
}

static void stop(struct device *d)
{
	if (serving)
		rest(d);
	serving = false;
	unmap_memory(d);
}

static void set_kicks(struct device *d, int fd)
{
	struct vduse_vq_eventfd kick = { };

	for (; kick.index < d->about.num_queues; kick.index++) {
		kick.fd = d->kick[kick.index];
		must(ioctl(fd, VDUSE_VQ_SETUP_KICKFD, &kick),
		     "VDUSE_VQ_SETUP_KICKFD");
	}
}

static void handle_request(struct device *d, int fd)
{
	struct vduse_dev_response response = { .result = VDUSE_REQ_RESULT_OK };
	struct vduse_dev_request request;

	must(read(fd, &request, sizeof(request)), "read");
	response.request_id = request.request_id;
	switch (request.type) {
	case VDUSE_SET_STATUS:
		if (!request.s.status && started)
			stop(d);
		if (request.s.status & VIRTIO_CONFIG_S_DRIVER_OK && !started)
			set_kicks(d, fd);
		started = request.s.status & VIRTIO_CONFIG_S_DRIVER_OK;
		break;
	default:
		/* virtio_vdpa neither suspends a device nor moves its memory. */
		response.result = VDUSE_REQ_RESULT_FAILED;
	}
	must(write(fd, &response, sizeof(response)), "write");
}

static void run(struct device *d)
{
	struct pollfd polled[1 + 2 * PYKIT_LOOPBACK_MAX_QUEUES];
	struct pollfd *call = polled + 1;
	unsigned int i, count = d->about.num_queues;
	struct pollfd *kick = call + count;
	int fd = create(d);
	__u64 calls;
	bool idle;

	polled[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	for (i = 0; i < count; i++) {
		call[i] = (struct pollfd){ .fd = d->call[i], .events = POLLIN };
		kick[i] = (struct pollfd){ .fd = d->kick[i], .events = POLLIN };
	}
	for (;;) {
		/* Once it serves, kicks are the back-end's. */
		idle = started && !serving;
		must(poll(polled, 1 + (idle ? 2 : 1) * count, -1), "poll");
		if (polled[0].revents & POLLIN)
			handle_request(d, fd);
		for (i = 0; i < count; i++) {
			if (idle && started && !serving &&
			    kick[i].revents & POLLIN)
				start(d, fd);
			if (call[i].revents & POLLIN &&
			    read(d->call[i], &calls, sizeof(calls)) > 0 &&
			    ioctl(fd, VDUSE_VQ_INJECT_IRQ, &i) < 0 && started)
				fail("VDUSE_VQ_INJECT_IRQ: %s", strerror(errno));
		}
	}
}

const struct way vduse = {
	.name = "vduse",
	.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
		    BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_ACCESS_PLATFORM),
	.run = run,
};
