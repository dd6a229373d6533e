// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's vhost_net, with a tap as the other end of the wire.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "loopback.h"

#define RX_AND_TX	2

/* What the tap does for the device. */
#define OFFLOADS							\
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |	\
	 BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO4) |	\
	 BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_GUEST_TSO6))

static int tap;

static void open_tap(const char *name)
{
	int header = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	struct ifreq request = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};

	if (strlen(name) >= sizeof(request.ifr_name))
		fail("name=%s: too long for a tap", name);
	memcpy(request.ifr_name, name, strlen(name) + 1);
	tap = must(open("/dev/net/tun", O_RDWR | O_CLOEXEC), "/dev/net/tun");
	must(ioctl(tap, TUNSETIFF, &request), "TUNSETIFF");
	must(ioctl(tap, TUNSETVNETHDRSZ, &header), "TUNSETVNETHDRSZ");
	must(ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6),
	     "TUNSETOFFLOAD");
}

static void open_net(struct device *d)
{
	static const __u8 mac[] = { 0x52, 0x54, 0, 0x70, 0x6b, 0 };
	struct virtio_net_config *config;

	open_tap(d->options.name);
	open_vhost(d, "/dev/vhost-net");
	d->about.id = VIRTIO_ID_NET;
	d->about.features = BIT(VIRTIO_NET_F_MAC) | OFFLOADS;
	d->about.config_len = sizeof(*config);
	config = (struct virtio_net_config *)d->about.config;
	memcpy(config->mac, mac, sizeof(mac));
	add_queues(d, RX_AND_TX);
	d->served = RX_AND_TX;
}

static void set_back_end(struct device *d, int fd)
{
	struct vhost_vring_file file = { .fd = fd };

	for (file.index = 0; file.index < RX_AND_TX; file.index++)
		must(ioctl(d->vhost, VHOST_NET_SET_BACKEND, &file),
		     "VHOST_NET_SET_BACKEND");
}

static void start(struct device *d, __u32 index)
{
	tell_probe(index);
	set_back_end(d, tap);
}

static void stop(struct device *d)
{
	set_back_end(d, -1);
}

const struct back_end net = {
	.name = "net",
	.open = open_net,
	.start = start,
	.stop = stop,
};
