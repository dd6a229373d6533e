// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_discard_vq_desc() takes numbers of buffers and of descriptors, since
 * vhost knows IN_ORDER: in v7.2, not in v6.12.
 */
#include "vhost.h"

void probe(struct vhost_virtqueue *vq);

void probe(struct vhost_virtqueue *vq)
{
	vhost_discard_vq_desc(vq, 1, 1);
}
