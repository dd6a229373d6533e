// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_discard_vq_desc() takes numbers of buffers and of descriptors: 779bcdd4b9ae
 * ("vhost: rewind next_avail_head while discarding descriptors"), in 7.2.13, not in
 * 6.12.117.
 */
#include "vhost.h"

void check(struct vhost_virtqueue *vq);

void check(struct vhost_virtqueue *vq)
{
	vhost_discard_vq_desc(vq, 1, 1);
}
