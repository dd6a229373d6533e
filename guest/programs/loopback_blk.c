// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block back-end of pykit_vhost.
 */
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "loopback.h"

static void read_config(struct device *d)
{
	struct vhost_vdpa_config *part;

	d->about.config_len = sizeof(struct virtio_blk_config);
	part = calloc(1, sizeof(*part) + d->about.config_len);
	if (!part)
		fail("no memory");
	part->len = d->about.config_len;
	must(ioctl(d->vhost, VHOST_VDPA_GET_CONFIG, part),
	     "VHOST_VDPA_GET_CONFIG");
	memcpy(d->about.config, part->buf, d->about.config_len);
	free(part);
}

static void open_blk(struct device *d)
{
	struct pykit_vhost_disk disk = {
		.bytes = (__u64)d->options.mib << 20,
		.fd = -1,
	};
	struct virtio_blk_config *config;
	unsigned int i;

	open_vhost(d, PYKIT_VHOST_DEV);
	must(ioctl(d->vhost, PYKIT_VHOST_SET_DISK, &disk),
	     "PYKIT_VHOST_SET_DISK");
	read_config(d);
	if (d->options.queues > PYKIT_VHOST_MAX_QUEUES)
		fail("the back-end has only %u queues", PYKIT_VHOST_MAX_QUEUES);
	config = (struct virtio_blk_config *)d->about.config;
	config->num_queues = htole16(d->options.queues);
	d->about.id = VIRTIO_ID_BLOCK;
	add_queues(d, d->options.queues);
	d->served = d->about.num_queues;
	/* When the back-end is gone a request ends with its last byte. */
	for (i = 0; i < d->about.num_queues; i++) {
		d->about.queues[i].answers = 1;
		d->about.queues[i].answer_at = PYKIT_LOOPBACK_LAST;
		d->about.queues[i].answer = VIRTIO_BLK_S_IOERR;
	}
}

static void start(struct device *d, __u32 index)
{
	__u64 same = 0;

	must(ioctl(d->vhost, PYKIT_VHOST_SERVES, &index), "PYKIT_VHOST_SERVES");
	must(ioctl(d->vhost, PYKIT_VHOST_START, &same), "PYKIT_VHOST_START");
}

static void stop(struct device *d)
{
	must(ioctl(d->vhost, PYKIT_VHOST_STOP), "PYKIT_VHOST_STOP");
}

const struct back_end blk = {
	.name = "blk",
	.open = open_blk,
	.start = start,
	.stop = stop,
};
