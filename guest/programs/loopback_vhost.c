// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all vhost back-ends have in common: memory, rings, eventfds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "loopback.h"

/* Open a back-end's file, and ask what it can do. */
void open_vhost(struct device *d, const char *path)
{
	d->vhost = must(open(path, O_RDWR | O_CLOEXEC), path);
	must(ioctl(d->vhost, VHOST_SET_OWNER), "VHOST_SET_OWNER");
	must(ioctl(d->vhost, VHOST_GET_FEATURES, &d->offered),
	     "VHOST_GET_FEATURES");
}

/* Tell the vhost probe, where it is loaded, what a back-end of the kernel's serves. */
void tell_probe(__u32 index)
{
	static int probe = -1;

	if (probe < 0)
		probe = open(PYKIT_VHOST_PROBE_DEV, O_RDWR | O_CLOEXEC);
	if (probe < 0 && errno == ENOENT)
		return;
	must(probe, PYKIT_VHOST_PROBE_DEV);
	must(ioctl(probe, PYKIT_VHOST_SERVES, &index), "PYKIT_VHOST_SERVES");
}

/* The device has this many further queues. */
void add_queues(struct device *d, unsigned int count)
{
	unsigned int i, first = d->about.num_queues;

	if (count > PYKIT_LOOPBACK_MAX_QUEUES - first)
		fail("%u queues are too many", first + count);
	d->about.num_queues += count;
	for (i = first; i < d->about.num_queues; i++) {
		d->about.queues[i].size = d->options.size;
		d->kick[i] = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
		d->call[i] = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
	}
}

static void set_memory(struct device *d)
{
	struct {
		struct vhost_memory table;
		struct vhost_memory_region regions[MAX_REGIONS];
	} memory = { .table.nregions = d->num_regions };
	unsigned int i;

	for (i = 0; i < d->num_regions; i++) {
		memory.regions[i].guest_phys_addr = d->regions[i].at;
		memory.regions[i].memory_size = d->regions[i].bytes;
		memory.regions[i].userspace_addr =
			(uintptr_t)d->regions[i].here;
	}
	must(ioctl(d->vhost, VHOST_SET_MEM_TABLE, &memory),
	     "VHOST_SET_MEM_TABLE");
}

static __u64 here(struct device *d, __u64 at)
{
	unsigned int i;

	for (i = 0; i < d->num_regions; i++)
		if (at - d->regions[i].at < d->regions[i].bytes)
			return (uintptr_t)d->regions[i].here +
			       (at - d->regions[i].at);
	fail("the driver's ring at %#llx is not in its memory",
	     (unsigned long long)at);
}

static void set_ring(struct device *d, unsigned int i,
		     const struct pykit_loopback_ring *ring)
{
	struct vhost_vring_state num = { .index = i, .num = ring->size };
	struct vhost_vring_state base = { .index = i };
	struct vhost_vring_addr addr = { .index = i };
	struct vhost_vring_file kick = { .index = i, .fd = d->kick[i] };
	struct vhost_vring_file call = { .index = i, .fd = d->call[i] };

	if (!ring->size) {
		/* A queue of an earlier driver must not be served again. */
		must(ioctl(d->vhost, VHOST_SET_VRING_ADDR, &addr),
		     "VHOST_SET_VRING_ADDR");
		return;
	}
	addr.desc_user_addr = here(d, ring->desc);
	addr.avail_user_addr = here(d, ring->avail);
	addr.used_user_addr = here(d, ring->used);
	must(ioctl(d->vhost, VHOST_SET_VRING_NUM, &num), "VHOST_SET_VRING_NUM");
	must(ioctl(d->vhost, VHOST_SET_VRING_BASE, &base),
	     "VHOST_SET_VRING_BASE");
	must(ioctl(d->vhost, VHOST_SET_VRING_ADDR, &addr),
	     "VHOST_SET_VRING_ADDR");
	must(ioctl(d->vhost, VHOST_SET_VRING_KICK, &kick),
	     "VHOST_SET_VRING_KICK");
	must(ioctl(d->vhost, VHOST_SET_VRING_CALL, &call),
	     "VHOST_SET_VRING_CALL");
}

/* A driver has started the device. */
void serve(struct device *d, const struct pykit_loopback_state *state)
{
	__u64 features = state->features & d->offered;
	unsigned int i;

	/* The memory table has the driver's addresses: there is no IOTLB. */
	features &= ~BIT(VIRTIO_F_ACCESS_PLATFORM);
	must(ioctl(d->vhost, VHOST_SET_FEATURES, &features),
	     "VHOST_SET_FEATURES");
	set_memory(d);
	for (i = 0; i < d->served; i++)
		set_ring(d, i, &state->rings[i]);
	d->back_end->start(d, state->index);
	/* What the driver notified before that, the back-end may have let go by. */
	for (i = 0; i < d->served; i++)
		must(eventfd_write(d->kick[i], 1), "kick");
	say("virtio%u is served, features %#llx", state->index,
	    (unsigned long long)state->features);
}

/* A driver has reset the device: what it still notified is forgotten. */
void rest(struct device *d)
{
	unsigned int i;
	__u64 count;

	d->back_end->stop(d);
	for (i = 0; i < d->about.num_queues; i++)
		if (read(d->kick[i], &count, sizeof(count)) < 0 && errno != EAGAIN)
			fail("kick: %s", strerror(errno));
	say("stopped");
}
