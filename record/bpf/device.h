/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices: what is done to them by way of their transport's operations, and drivers that
 * come and go. A device's first argument is all that is hooked by address needs; what the
 * return from an operation needs beside its result is kept from the entry.
 */
#ifndef RECORD_DEVICE_H
#define RECORD_DEVICE_H

#define VERSION_1	(1ULL << 32)
/* Features that the core decides on. */
#define TRANSPORT	0x3fff0000000ULL
#define S_DRIVER_OK	4
#define S_FEATURES_OK	8
#define MAX_FEATURES	128

enum { OFFERED, FINALIZED, FROZEN };
enum { STATUS_WRITE, STATUS_READ, STATUS_RESET };

/* An operation under way. */
struct inside_key {
	u64 task;
	u64 op;
};

struct inside {
	u64 device;	/* or a queue, for what concerns one */
	u64 second;	/* arguments */
	u64 buf;
	u32 len;
	u32 depth;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_INSIDE);
	__type(key, struct inside_key);
	__type(value, struct inside);
} insides SEC(".maps");

static __noinline struct device_state *device_of(u64 vdev)
{
	struct device_state none = {};
	struct device_state *d = bpf_map_lookup_elem(&devices, &vdev);

	if (d)
		return d;
	bpf_map_update_elem(&devices, &vdev, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&devices, &vdev);
}

struct table {
	u64 at;
	u64 features;
};

static long each_feature(u32 n, struct table *t)
{
	u32 bit = 64;

	READ(bit, t->at + 4ULL * n);
	if (bit < 64)
		t->features |= 1ULL << bit;
	return 0;
}

static __noinline u64 driver_features(u64 vdev, u64 offered)
{
	u64 driver = MEMBER(virtio_device, vdev, dev.driver);
	u32 size;
	struct table t = {};

	if (!driver)
		return 0;
	driver -= PLACE(virtio_driver, driver);
	t.at = MEMBER(virtio_driver, driver, feature_table);
	size = MEMBER(virtio_driver, driver, feature_table_size);
	t.features = MEMBER(virtio_device, vdev, features) & TRANSPORT;
	if (!(offered & VERSION_1) && MEMBER(virtio_driver, driver, feature_table_legacy)) {
		t.at = MEMBER(virtio_driver, driver, feature_table_legacy);
		size = MEMBER(virtio_driver, driver, feature_table_size_legacy);
	}
	if (size > MAX_FEATURES)
		size = MAX_FEATURES;
	bpf_loop(size, each_feature, &t, 0);
	return t.features;
}

static __noinline int trace_features(u64 vdev, u8 stage)
{
	struct device_state *d = device_of(vdev);
	struct ev_features *e;
	u64 driver;

	/* What the device offers cannot be read from here. */
	if (!d || !d->offers)
		return 0;
	driver = driver_features(vdev, d->offered);
	e = RESERVE(features);
	if (!e)
		return 0;
	e->offered = d->offered;
	e->driver = driver;
	e->acked = MEMBER(virtio_device, vdev, features);
	e->dev = MEMBER(virtio_device, vdev, index);
	e->stage = stage;
	SUBMIT(e);
	return 0;
}

static __always_inline void trace_status(u64 vdev, u8 status, u8 op)
{
	struct ev_status *e = RESERVE(status);

	if (!e)
		return;
	e->dev = MEMBER(virtio_device, vdev, index);
	e->status = status;
	e->op = op;
	SUBMIT(e);
}

static __noinline int trace_config(u64 vdev, u32 offset, u64 buf, u32 len, u8 write)
{
	struct ev_config *e = RESERVE(config);
	u64 value = 0, some = len;

	if (!e)
		return 0;
	/* The verifier has to see the bound of what is passed on. */
	barrier_var(some);
	if (some > sizeof(value))
		some = sizeof(value);
	bpf_probe_read_kernel(&value, some, (void *)buf);
	e->value = value;
	e->dev = MEMBER(virtio_device, vdev, index);
	e->offset = offset;
	e->len = len;
	e->write = write;
	SUBMIT(e);
	return 0;
}

static __always_inline void trace_config_change(u64 vdev)
{
	struct ev_config_change *e;

	if (!MEMBER(virtio_device, vdev, dev.driver))
		return;
	e = RESERVE(config_change);
	if (!e)
		return;
	e->dev = MEMBER(virtio_device, vdev, index);
	SUBMIT(e);
}

/* Keep the arguments of an operation until it returns. Returns whether it is the outermost. */
static __noinline int go_in(u64 op, u64 device, u64 second, u64 buf, u32 len)
{
	struct inside_key key = { .task = self(), .op = op };
	struct inside *there = bpf_map_lookup_elem(&insides, &key);
	struct inside in = {
		.device = device, .second = second, .buf = buf, .len = len, .depth = 1,
	};

	/* One transport's operation may call the other's of the same name. */
	if (there) {
		there->depth++;
		return 0;
	}
	bpf_map_update_elem(&insides, &key, &in, BPF_ANY);
	return 1;
}

/* Those arguments, once the outermost operation has returned. */
static __noinline int come_out(u64 op, struct inside *in)
{
	struct inside_key key = { .task = self(), .op = op };
	struct inside *there = bpf_map_lookup_elem(&insides, &key);

	if (!there || --there->depth)
		return 0;
	*in = *there;
	bpf_map_delete_elem(&insides, &key);
	return 1;
}

static __always_inline u64 vdev_of(u64 dev)
{
	return dev - PLACE(virtio_device, dev);
}

static __always_inline void break_queue(u64 vq, u8 op)
{
	struct queue *q = find_queue(vq);

	if (q)
		trace_queue(q, op);
}

static __always_inline void forget_queue(u64 vq)
{
	struct queue *q = find_queue(vq);

	if (q)
		delete_queue(q);
}

#endif /* RECORD_DEVICE_H */
