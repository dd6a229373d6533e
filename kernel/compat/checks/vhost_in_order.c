// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost_get_vq_desc_n() says how many descriptors a chain has, and
 * vhost_add_used_n() takes how many chains an entry stands for: 67a873df0c41
 * ("vhost: basic in order support"), in 7.2.13, not in 6.12.117.
 */
#include "vhost.h"

int check(struct vhost_virtqueue *vq, struct vring_used_elem *heads, u16 *counts);

int check(struct vhost_virtqueue *vq, struct vring_used_elem *heads, u16 *counts)
{
	unsigned int out, in, descs;

	return vhost_get_vq_desc_n(vq, vq->iov, 1, &out, &in, NULL, NULL, &descs) +
	       vhost_add_used_n(vq, heads, counts, 1);
}
