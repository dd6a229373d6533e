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
#if IS_REACHABLE(CONFIG_KUNIT)
#include <kunit/test.h>
#endif

#include "selftest.h"

/* No device of this type is there, nor will be. */
#define SELFTEST_ID	0x7079

/* Three bits: packed, indirect, event index. */
#define RINGS		8

#define SUITE		"pykit_virtqueue"

static bool test = true;
module_param(test, bool, 0444);
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

#ifdef CONFIG_PM_SLEEP
static int selftest_pm_freeze(struct virtio_device *vdev)
{
	selftest_del_vq(vdev->priv);
	return 0;
}

static int selftest_pm_restore(struct virtio_device *vdev)
{
	return selftest_probe(vdev);
}
#endif

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
#ifdef CONFIG_PM_SLEEP
	.freeze		= selftest_pm_freeze,
	.restore	= selftest_pm_restore,
#endif
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
static const struct selftest_case {
	const char *name;
	void (*run)(struct selftest *t);
} cases[] = {
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

/* Cases are run one at a time. */
static void selftest_run_case(void *report, const struct selftest_case *what)
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

/* Which kind of ring it was, for who reads the report. */
static const char *selftest_ring_name(struct selftest *t)
{
	static const char * const names[RINGS] = {
		"split, direct, flags", "split, direct, event index",
		"split, indirect, flags", "split, indirect, event index",
		"packed, direct, flags", "packed, direct, event index",
		"packed, indirect, flags", "packed, indirect, event index",
	};

	return names[t->packed << 2 | t->indirect << 1 | t->event_idx];
}

#if IS_REACHABLE(CONFIG_KUNIT)
void selftest_failed(struct selftest *t, const char *what, const char *file,
		     int line)
{
	struct kunit *kunit = t->report;

	KUNIT_FAIL(kunit, "%s: %s (%s:%d)\n", selftest_ring_name(t), what,
		   kbasename(file), line);
}

void selftest_skip(struct selftest *t, const char *why)
{
	struct kunit *kunit = t->report;

	kunit_mark_skipped(kunit, "%s", why);
}

static void selftest_describe(const struct selftest_case *what, char *to)
{
	strscpy(to, what->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(cases, cases, selftest_describe);

static void selftest_every_ring(struct kunit *kunit)
{
	if (test)
		selftest_run_case(kunit, kunit->param_value);
	else
		kunit_mark_skipped(kunit, "not asked for");
}

static struct kunit_case kunit_cases[] = {
	KUNIT_CASE_PARAM(selftest_every_ring, cases_gen_params),
	{ }
};

static struct kunit_suite suite = {
	.name = SUITE,
	.test_cases = kunit_cases,
};

/* KUnit runs it as soon as the module is there. */
kunit_test_suite(suite);

static void selftest_run_all(void)
{
}
#else
struct selftest_report {
	bool failed;
	const char *skipped;
};

void selftest_failed(struct selftest *t, const char *what, const char *file,
		     int line)
{
	struct selftest_report *report = t->report;

	report->failed = true;
	pr_info("    # %s: %s (%s:%d)\n", selftest_ring_name(t), what, kbasename(file),
		line);
}

void selftest_skip(struct selftest *t, const char *why)
{
	((struct selftest_report *)t->report)->skipped = why;
}

/* Print the report that KUnit would print. */
static void selftest_run_all(void)
{
	unsigned int i, failed = 0, skipped = 0, total = ARRAY_SIZE(cases);

	pr_info("KTAP version 1\n");
	pr_info("1..1\n");
	pr_info("    KTAP version 1\n");
	pr_info("    # Subtest: " SUITE "\n");
	pr_info("    1..%u\n", total);
	for (i = 0; i < total; i++) {
		struct selftest_report report = { };

		selftest_run_case(&report, &cases[i]);
		failed += report.failed;
		skipped += !!report.skipped;
		if (report.skipped)
			pr_info("    ok %u %s # SKIP %s\n", i + 1,
				cases[i].name, report.skipped);
		else
			pr_info("    %sok %u %s\n", report.failed ? "not " : "",
				i + 1, cases[i].name);
	}
	pr_info("# Totals: pass:%u fail:%u skip:%u total:%u\n",
		total - failed - skipped, failed, skipped, total);
	pr_info("%sok 1 " SUITE "\n", failed ? "not " : "");
}
#endif

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
	if (test)
		selftest_run_all();
	return 0;

out_driver:
	unregister_virtio_driver(&selftest_driver);
out_parent:
	root_device_unregister(parent);
	return err;
}
module_init(selftest_init);

static void __exit selftest_exit(void)
{
	selftest_disk_exit();
	unregister_virtio_driver(&selftest_driver);
	root_device_unregister(parent);
}
module_exit(selftest_exit);

MODULE_DESCRIPTION("Self-test of virtqueues, and a virtio disk in software");
MODULE_LICENSE("GPL");
