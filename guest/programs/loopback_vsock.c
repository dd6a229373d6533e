// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's vhost_vsock. The kernel is its own host and its own guest: a socket
 * that connects to context 2 goes by the driver to the back-end, one that connects
 * to the guest's context the other way.
 */
#include <linux/virtio_vsock.h>
#include <sys/ioctl.h>

#include "loopback.h"

/* The third queue, for events, is nobody's: there are none without migration. */
#define RX_AND_TX	2

static void set_running(struct device *d, int running)
{
	must(ioctl(d->vhost, VHOST_VSOCK_SET_RUNNING, &running),
	     "VHOST_VSOCK_SET_RUNNING");
}

static void open_vsock(struct device *d)
{
	struct virtio_vsock_config *config;
	__u64 cid = d->options.cid;

	open_vhost(d, "/dev/vhost-vsock");
	must(ioctl(d->vhost, VHOST_VSOCK_SET_GUEST_CID, &cid),
	     "VHOST_VSOCK_SET_GUEST_CID");
	d->about.id = VIRTIO_ID_VSOCK;
	d->about.config_len = sizeof(*config);
	config = (struct virtio_vsock_config *)d->about.config;
	config->guest_cid = htole64(cid);
	add_queues(d, RX_AND_TX + 1);
	d->served = RX_AND_TX;
}

static void start(struct device *d, __u32 index)
{
	tell_probe(index);
	set_running(d, 1);
}

static void stop(struct device *d)
{
	set_running(d, 0);
}

const struct back_end vsock = {
	.name = "vsock",
	.open = open_vsock,
	.start = start,
	.stop = stop,
};
