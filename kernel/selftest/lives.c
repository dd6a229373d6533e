// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cases: what ends or interrupts a queue's life.
 *
 * Error messages from the virtio core are expected here.
 */
#include "../compat/virtio.h"
#include "selftest.h"

static void selftest_check_works(struct selftest *t)
{
	unsigned int len;

	CHECK(t, !virtqueue_is_broken(t->vq));
	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, selftest_use(t, 5));
	CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
}

static void selftest_check_broken(struct selftest *t)
{
	unsigned int len;

	CHECK(t, virtqueue_is_broken(t->vq));
	CHECK(t, selftest_add(t, 1, 1, t) == -EIO);
	CHECK(t, !virtqueue_get_buf(t->vq, &len));
	CHECK(t, !virtqueue_notify(t->vq));
}

void selftest_broken(struct selftest *t)
{
	unsigned int len;

	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, selftest_use(t, 0));
	CHECK(t, !virtqueue_is_broken(t->vq));
	virtio_break_device(&t->dev->vdev);
	selftest_check_broken(t);
	CHECK(t, !t->q->notified);
	__virtio_unbreak_device(&t->dev->vdev);
	CHECK(t, virtqueue_get_buf(t->vq, &len) == t);
	selftest_check_works(t);
	/* The same, of one queue. */
	__virtqueue_break(t->vq);
	selftest_check_broken(t);
	__virtqueue_unbreak(t->vq);
	selftest_check_works(t);
}

void selftest_id_out_of_range(struct selftest *t)
{
	unsigned int len;

	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, soft_pop(t->q, &t->chain));
	soft_push(t->q, SELFTEST_RING, 0, t->chain.slots);
	CHECK(t, !virtqueue_get_buf(t->vq, &len));
	selftest_check_broken(t);
	/* What is lost for the device is not lost for the driver. */
	CHECK(t, virtqueue_detach_unused_buf(t->vq) == t);
}

void selftest_id_not_outstanding(struct selftest *t)
{
	unsigned int len;

	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, soft_pop(t->q, &t->chain));
	soft_push(t->q, (t->chain.id + 5) % SELFTEST_RING, 0, t->chain.slots);
	CHECK(t, !virtqueue_get_buf(t->vq, &len));
	selftest_check_broken(t);
	CHECK(t, virtqueue_detach_unused_buf(t->vq) == t);
}

static unsigned int recycled;

static void selftest_recycle(struct virtqueue *vq, void *buf)
{
	recycled++;
}

void selftest_resize(struct selftest *t)
{
	recycled = 0;
	CHECK(t, compat_virtqueue_resize(t->vq, 2 * SELFTEST_RING, selftest_recycle) == -E2BIG);
	CHECK(t, compat_virtqueue_resize(t->vq, 0, selftest_recycle) == -EINVAL);
	/* The size that it has: nothing is done. */
	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, !compat_virtqueue_resize(t->vq, SELFTEST_RING, selftest_recycle));
	CHECK(t, !recycled);
	CHECK(t, !compat_virtqueue_resize(t->vq, SELFTEST_RING / 2, selftest_recycle));
	CHECK(t, recycled == 1);
	CHECK(t, virtqueue_get_vring_size(t->vq) == SELFTEST_RING / 2);
	CHECK(t, t->vq->num_free == SELFTEST_RING / 2);
	selftest_check_works(t);
	CHECK(t, !compat_virtqueue_resize(t->vq, SELFTEST_RING, selftest_recycle));
	CHECK(t, t->vq->num_free == SELFTEST_RING);
	selftest_check_works(t);
}

void selftest_reset(struct selftest *t)
{
	if (!__is_defined(PYKIT_HAVE_VIRTQUEUE_RESET)) {
		selftest_skip(t, "no virtqueue_reset()");
		return;
	}
	recycled = 0;
	selftest_check_works(t);
	CHECK(t, !selftest_add(t, 1, 1, t));
	CHECK(t, !selftest_add(t, 1, 0, t));
	CHECK(t, !compat_virtqueue_reset(t->vq, selftest_recycle));
	CHECK(t, recycled == 2);
	CHECK(t, t->vq->num_free == SELFTEST_RING);
	selftest_check_works(t);
}

/* A driver that cannot have its queue gives up, and may try again. */
void selftest_probe_fails(struct selftest *t)
{
	struct soft_dev *dev = t->dev;

	device_release_driver(&dev->vdev.dev);
	CHECK(t, !t->vq);
	dev->num_vqs = 0;
	CHECK(t, device_attach(&dev->vdev.dev) <= 0);
	CHECK(t, !t->vq);
	CHECK(t, dev->status & VIRTIO_CONFIG_S_FAILED);
	dev->num_vqs = 1;
	/* What failed is over with a reset. */
	virtio_reset_device(&dev->vdev);
	CHECK(t, device_attach(&dev->vdev.dev) == 1);
	if (CHECK(t, t->vq))
		selftest_check_works(t);
}

void selftest_freeze(struct selftest *t)
{
	static const u8 wanted[] = {
		/* Register and probe; freeze; restore, which resets again. */
		0, 1, 3, 11, 15, 0, 0, 1, 3, 11, 15,
	};
	struct soft_dev *dev = t->dev;

	if (!IS_ENABLED(CONFIG_PM_SLEEP)) {
		selftest_skip(t, "no suspend");
		return;
	}
	selftest_check_works(t);
	CHECK(t, !compat_device_freeze(&dev->vdev));
	CHECK(t, !dev->status);
	CHECK(t, !t->vq);
	CHECK(t, !compat_device_restore(&dev->vdev));
	if (!CHECK(t, t->vq))
		return;
	selftest_check_works(t);
	CHECK(t, dev->num_statuses == ARRAY_SIZE(wanted));
	CHECK(t, !memcmp(dev->statuses, wanted, sizeof(wanted)));
}
