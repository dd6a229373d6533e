// SPDX-License-Identifier: GPL-2.0-only
/*
 * A self-test of the virtqueue API, and a disk to test a driver with.
 *
 * The test runs when the module is loaded, unless only the disk is wanted, and says
 * how it went in KTAP: by KUnit where the kernel has it, else by itself. Each case
 * is run with every kind of ring.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "../compat/virtio.h"
#include "selftest.h"
#include "slot.h"

/* No device of this type is there, nor will be. */
#define SELFTEST_ID	0x7079

/* Three bits: packed, indirect, event index. */
#define RINGS		8

bool selftest_wanted = true;
module_param_named(test, selftest_wanted, bool, 0444);
MODULE_PARM_DESC(test, "Whether to test virtqueues");

static struct device *parent;

static void selftest_callback(struct virtqueue *vq)
{
	struct selftest *t = vq->vdev->priv;

	t->callbacks++;
}

/**
 * selftest_find_vq() - set up the queue of a test
 * @t: the test
 *
 * Return: 0 or an error.
 */
int selftest_find_vq(struct selftest *t)
{
	struct virtqueue *vq = virtio_find_single_vq(&t->dev->vdev, selftest_callback,
						     "selftest");

	if (IS_ERR(vq))
		return PTR_ERR(vq);
	t->vq = vq;
	t->q = &t->dev->vqs[0];
	return 0;
}

static void selftest_del_vq(struct selftest *t)
{
	if (!t->vq)
		return;
	virtio_reset_device(&t->dev->vdev);
	while (virtqueue_detach_unused_buf(t->vq))
		;
	t->dev->vdev.config->del_vqs(&t->dev->vdev);
	t->vq = NULL;
}

static int selftest_probe(struct virtio_device *vdev)
{
	int err = selftest_find_vq(vdev->priv);

	if (!err)
		virtio_device_ready(vdev);
	return err;
}

static void selftest_remove(struct virtio_device *vdev)
{
	selftest_del_vq(vdev->priv);
}

static int __maybe_unused selftest_pm_freeze(struct virtio_device *vdev)
{
	selftest_del_vq(vdev->priv);
	return 0;
}

static int __maybe_unused selftest_pm_restore(struct virtio_device *vdev)
{
	return selftest_probe(vdev);
}

static const struct virtio_device_id id_table[] = {
	{ SELFTEST_ID, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static struct virtio_driver selftest_driver = {
	.driver.name	= KBUILD_MODNAME,
	.driver.owner	= THIS_MODULE,
	.id_table	= id_table,
	.probe		= selftest_probe,
	.remove		= selftest_remove,
	COMPAT_IF_SLEEP(.freeze = selftest_pm_freeze, .restore = selftest_pm_restore)
};

static void selftest_free_dev(struct soft_dev *dev)
{
	kfree(dev);
}

static void selftest_run_with(struct selftest *t, void (*run)(struct selftest *t))
{
	t->dev = kzalloc(sizeof(*t->dev), GFP_KERNEL);
	t->buf = kzalloc(SELFTEST_BUF_BYTES, GFP_KERNEL);
	if (!CHECK(t, t->dev && t->buf)) {
		kfree(t->dev);
		goto out;
	}
	t->dev->features = BIT_ULL(VIRTIO_F_VERSION_1) |
			   (u64)t->packed << VIRTIO_F_RING_PACKED |
			   (u64)t->indirect << VIRTIO_RING_F_INDIRECT_DESC |
			   (u64)t->event_idx << VIRTIO_RING_F_EVENT_IDX |
			   BIT_ULL(VIRTIO_F_RING_RESET);
	t->dev->ring_size = SELFTEST_RING;
	t->dev->num_vqs = 1;
	t->dev->free = selftest_free_dev;
	t->dev->vdev.priv = t;
	if (CHECK(t, !soft_register(t->dev, parent, SELFTEST_ID))) {
		if (CHECK(t, t->vq))
			run(t);
		soft_unregister(t->dev);
	}
out:
	kfree(t->buf);
}

/* With every kind of ring each, one after the other. */
const struct selftest_case selftest_cases[] = {
	{ "add_outbuf", selftest_add_outbuf },
	{ "add_inbuf", selftest_add_inbuf },
	{ "add_sgs", selftest_add_sgs },
	{ "data", selftest_data },
	{ "addresses", selftest_addresses },
	{ "full", selftest_full },
	{ "order", selftest_order },
	{ "wrap", selftest_wrap },
	{ "index_overflow", selftest_index_overflow },
	{ "kick", selftest_kick },
	{ "notify_fails", selftest_notify_fails },
	{ "get_nothing", selftest_get_nothing },
	{ "disable_cb", selftest_disable_cb },
	{ "enable_cb", selftest_enable_cb },
	{ "enable_cb_prepare", selftest_enable_cb_prepare },
	{ "enable_cb_delayed", selftest_enable_cb_delayed },
	{ "interrupt", selftest_interrupt },
	{ "detach", selftest_detach },
	{ "broken", selftest_broken },
	{ "id_out_of_range", selftest_id_out_of_range },
	{ "id_not_outstanding", selftest_id_not_outstanding },
	{ "resize", selftest_resize },
	{ "reset", selftest_reset },
	{ "probe_fails", selftest_probe_fails },
	{ "freeze", selftest_freeze },
	{ "hostile_id", selftest_hostile_id },
	{ "hostile_id_of_another", selftest_hostile_id_of_another },
	{ "hostile_used_id", selftest_hostile_used_id },
	{ "hostile_table", selftest_hostile_table },
	{ "hostile_loop", selftest_hostile_loop },
	{ "hostile_head", selftest_hostile_head },
	{ "vringh", selftest_vringh },
};

/**
 * selftest_run_case() - run a case with every kind of ring
 * @report: where a check that does not hold is reported
 * @what: the case; one at a time
 */
void selftest_run_case(void *report, const struct selftest_case *what)
{
	static struct selftest t;
	unsigned int kind;

	for (kind = 0; kind < RINGS; kind++) {
		memset(&t, 0, sizeof(t));
		t.packed = kind & 4;
		t.indirect = kind & 2;
		t.event_idx = kind & 1;
		t.report = report;
		selftest_run_with(&t, what->run);
	}
}

/**
 * selftest_ring_name() - name a kind of ring in a report
 * @t: a test with such a ring
 *
 * Return: the name.
 */
const char *selftest_ring_name(const struct selftest *t)
{
	static const char * const names[RINGS] = {
		"split, direct, flags", "split, direct, event index",
		"split, indirect, flags", "split, indirect, event index",
		"packed, direct, flags", "packed, direct, event index",
		"packed, indirect, flags", "packed, indirect, event index",
	};

	return names[t->packed << 2 | t->indirect << 1 | t->event_idx];
}

static int __init selftest_init(void)
{
	int err;

	parent = root_device_register(KBUILD_MODNAME);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	err = register_virtio_driver(&selftest_driver);
	if (err)
		goto out_parent;
	err = selftest_disk_init(parent);
	if (err)
		goto out_driver;
	err = selftest_slot_init();
	if (err)
		goto out_disk;
	if (selftest_wanted)
		selftest_run_all();
	return 0;

out_disk:
	selftest_disk_exit();
out_driver:
	unregister_virtio_driver(&selftest_driver);
out_parent:
	root_device_unregister(parent);
	return err;
}
module_init(selftest_init);

static void __exit selftest_exit(void)
{
	selftest_slot_exit();
	selftest_disk_exit();
	unregister_virtio_driver(&selftest_driver);
	root_device_unregister(parent);
}
module_exit(selftest_exit);

MODULE_DESCRIPTION("Self-test of virtqueues, and a virtio disk in software");
MODULE_LICENSE("GPL");
