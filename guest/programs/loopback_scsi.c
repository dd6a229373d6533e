// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's vhost_scsi, with a target that configfs has set up.
 */
#include <linux/virtio_scsi.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "loopback.h"

/* The queues for control and for events come before those for commands. */
#define FIRST_COMMANDS	2
#define BOUNCE_MIB	32

static struct vhost_scsi_target target;

static void open_scsi(struct device *d)
{
	struct virtio_scsi_config *config;
	unsigned int i;

	if (strlen(d->options.name) >= sizeof(target.vhost_wwpn))
		fail("name=%s: too long for a target", d->options.name);
	memcpy(target.vhost_wwpn, d->options.name, strlen(d->options.name) + 1);
	target.vhost_tpgt = 1;
	open_vhost(d, "/dev/vhost-scsi");
	/* Protection information needs a target that keeps it. */
	d->offered &= ~BIT(VIRTIO_SCSI_F_T10_PI);
	/* It takes references to the pages of a buffer. */
	if (!d->about.bounce_mib)
		d->about.bounce_mib = BOUNCE_MIB;
	d->about.id = VIRTIO_ID_SCSI;
	d->about.config_len = sizeof(*config);
	config = (struct virtio_scsi_config *)d->about.config;
	config->num_queues = htole32(d->options.queues);
	config->seg_max = htole32(d->options.size - 2);
	config->max_sectors = htole32(0xffff);
	config->cmd_per_lun = htole32(d->options.size);
	config->event_info_size = htole32(sizeof(struct virtio_scsi_event));
	config->sense_size = htole32(VIRTIO_SCSI_SENSE_SIZE);
	config->cdb_size = htole32(VIRTIO_SCSI_CDB_SIZE);
	config->max_target = htole16(255);
	config->max_lun = htole32(16383);
	add_queues(d, FIRST_COMMANDS + d->options.queues);
	d->served = d->about.num_queues;
	/* When the back-end is gone a command ends with its response. */
	for (i = FIRST_COMMANDS; i < d->about.num_queues; i++) {
		d->about.queues[i].answers = 1;
		d->about.queues[i].answer_at =
			offsetof(struct virtio_scsi_cmd_resp, response);
		d->about.queues[i].answer = VIRTIO_SCSI_S_BAD_TARGET;
	}
}

static void start(struct device *d, __u32 index)
{
	tell_probe(index);
	must(ioctl(d->vhost, VHOST_SCSI_SET_ENDPOINT, &target),
	     "VHOST_SCSI_SET_ENDPOINT");
}

static void stop(struct device *d)
{
	must(ioctl(d->vhost, VHOST_SCSI_CLEAR_ENDPOINT, &target),
	     "VHOST_SCSI_CLEAR_ENDPOINT");
}

const struct back_end scsi = {
	.name = "scsi",
	.open = open_scsi,
	.start = start,
	.stop = stop,
};
