// SPDX-License-Identifier: GPL-2.0-only
/*
 * Case: vringh as the device's side. Built where the kernel has it, see Kbuild.
 */
#include <linux/vhost_iotlb.h>
#include <linux/vringh.h>

#include "selftest.h"

/* Addresses are physical, and any may be used: two entries, as none is that long. */
static struct vhost_iotlb *selftest_all_memory(void)
{
	struct vhost_iotlb *all = vhost_iotlb_alloc(2, 0);

	if (all && vhost_iotlb_add_range(all, 0, ULONG_MAX, 0, VHOST_MAP_RW)) {
		vhost_iotlb_free(all);
		return NULL;
	}
	return all;
}

static void selftest_serve(struct selftest *t, struct vringh *host)
{
	struct vringh_kiov out, in;
	char data[64];
	u16 head;

	vringh_kiov_init(&out, NULL, 0);
	vringh_kiov_init(&in, NULL, 0);
	if (CHECK(t, vringh_getdesc_iotlb(host, &out, &in, &head, GFP_KERNEL) == 1)) {
		CHECK(t, vringh_iov_pull_iotlb(host, &out, data, 64) == 64);
		CHECK(t, vringh_iov_push_iotlb(host, &in, data, 64) == 64);
		CHECK(t, !vringh_complete_iotlb(host, head, 64));
	}
	vringh_kiov_cleanup(&out);
	vringh_kiov_cleanup(&in);
}

static void selftest_serve_many(struct selftest *t, struct vringh *host)
{
	unsigned int i, len;

	for (i = 0; i < 3 * SELFTEST_RING; i++) {
		memset(selftest_buf(t, 0), i, 64);
		memset(selftest_buf(t, 1), ~i, 64);
		CHECK(t, virtqueue_enable_cb(t->vq));
		CHECK(t, !selftest_add(t, 1, 1, t));
		selftest_serve(t, host);
		CHECK(t, vringh_need_notify_iotlb(host) == 1);
		CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
		CHECK(t, len == 64);
		if (!CHECK(t, !memcmp(selftest_buf(t, 0), selftest_buf(t, 1), 64)))
			return;
	}
}

void selftest_vringh(struct selftest *t)
{
	static DEFINE_SPINLOCK(lock);
	struct vhost_iotlb *all;
	struct vringh host = { };

	/* It knows split rings only. */
	if (t->packed)
		return;
	all = selftest_all_memory();
	if (!CHECK(t, all))
		return;
	vringh_set_iotlb(&host, all, &lock);
	if (CHECK(t, !vringh_init_iotlb(&host, t->vq->vdev->features,
					SELFTEST_RING, true,
					(void *)virtqueue_get_desc_addr(t->vq),
					(void *)virtqueue_get_avail_addr(t->vq),
					(void *)virtqueue_get_used_addr(t->vq))))
		selftest_serve_many(t, &host);
	vhost_iotlb_free(all);
}
