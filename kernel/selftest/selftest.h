/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The self-test of the virtqueue API, shared by its files.
 *
 * main.c	the module, and the table of its cases
 * by_kunit.c	runs and reports them by KUnit
 * by_itself.c	the same without it, in KUnit's format
 * cases.c	buffers, notifications, callbacks
 * lives.c	what ends or interrupts a queue's life: damage, reset, suspend
 * hostile.c	what no device may write, and our observers must bear
 * vringh.c	vringh as the device's side, where the kernel has it
 * soft.c	a virtio transport in software
 * ring.c	the device's side of a virtqueue
 * disk.c	a disk in software, for what other disks do not offer
 * zones.c	its zones
 * append.c	zone appends to a disk
 */
#ifndef PYKIT_SELFTEST_H
#define PYKIT_SELFTEST_H

#include "soft.h"

#define SELFTEST_SUITE	"pykit_virtqueue"
#define SELFTEST_CASES	32
#define SELFTEST_RING	16

/**
 * struct selftest - one case with one kind of ring
 * @dev: the device
 * @vq: its queue, as the driver has it
 * @q: the same, as the device has it
 * @packed: whether the ring is packed
 * @indirect: whether tables may be indirect
 * @event_idx: whether EVENT_IDX was negotiated
 * @chain: room for a chain that the device takes
 * @callbacks: how often the queue's callback was called
 * @buf: memory to make available
 * @report: where a check that does not hold is reported
 */
struct selftest {
	struct soft_dev *dev;
	struct virtqueue *vq;
	struct soft_vq *q;
	bool packed;
	bool indirect;
	bool event_idx;
	struct soft_chain chain;
	unsigned int callbacks;
	u8 *buf;
	void *report;
};

#define SELFTEST_BUF_BYTES	(2 * SELFTEST_RING * 64)

/* Each buffer is 64 bytes at a place of its own. */
static inline u8 *selftest_buf(struct selftest *t, unsigned int n)
{
	return t->buf + n * 64;
}

/**
 * struct selftest_case - a case, to be run with every kind of ring
 * @name: name in the report
 * @run: what does it
 */
struct selftest_case {
	const char *name;
	void (*run)(struct selftest *t);
};

/* main.c */
extern const struct selftest_case selftest_cases[SELFTEST_CASES];
extern bool selftest_wanted;
void selftest_run_case(void *report, const struct selftest_case *what);
const char *selftest_ring_name(const struct selftest *t);

/* by_kunit.c where the kernel has KUnit, else by_itself.c */
void selftest_run_all(void);
void selftest_failed(struct selftest *t, const char *what, const char *file,
		     int line);
void selftest_skip(struct selftest *t, const char *why);

/* Goes on when it does not hold, as a test should say all that it can. */
#define CHECK(t, what)							\
({									\
	bool __holds = (what);						\
									\
	if (!__holds)							\
		selftest_failed(t, #what, __FILE__, __LINE__);		\
	__holds;							\
})

int selftest_add(struct selftest *t, unsigned int out, unsigned int in,
		 void *token);
unsigned int selftest_slots(struct selftest *t, unsigned int bufs);
bool selftest_use(struct selftest *t, u32 len);

/* cases.c: each is a case, in the table of main.c */
void selftest_add_outbuf(struct selftest *t);
void selftest_add_inbuf(struct selftest *t);
void selftest_add_sgs(struct selftest *t);
void selftest_data(struct selftest *t);
void selftest_addresses(struct selftest *t);
void selftest_full(struct selftest *t);
void selftest_order(struct selftest *t);
void selftest_wrap(struct selftest *t);
void selftest_index_overflow(struct selftest *t);
void selftest_kick(struct selftest *t);
void selftest_notify_fails(struct selftest *t);
void selftest_get_nothing(struct selftest *t);
void selftest_disable_cb(struct selftest *t);
void selftest_enable_cb(struct selftest *t);
void selftest_enable_cb_prepare(struct selftest *t);
void selftest_enable_cb_delayed(struct selftest *t);
void selftest_interrupt(struct selftest *t);
void selftest_detach(struct selftest *t);

/* lives.c */
void selftest_broken(struct selftest *t);
void selftest_id_out_of_range(struct selftest *t);
void selftest_id_not_outstanding(struct selftest *t);
void selftest_resize(struct selftest *t);
void selftest_reset(struct selftest *t);
void selftest_probe_fails(struct selftest *t);
void selftest_freeze(struct selftest *t);

/* hostile.c */
void selftest_hostile_id(struct selftest *t);
void selftest_hostile_id_of_another(struct selftest *t);
void selftest_hostile_used_id(struct selftest *t);
void selftest_hostile_table(struct selftest *t);
void selftest_hostile_loop(struct selftest *t);
void selftest_hostile_head(struct selftest *t);

/* vringh.c */
#if IS_REACHABLE(CONFIG_VHOST_RING)
void selftest_vringh(struct selftest *t);
#else
static inline void selftest_vringh(struct selftest *t)
{
	selftest_skip(t, "no vringh");
}
#endif

/* main.c: lives.c takes queues away and finds them again. */
int selftest_find_vq(struct selftest *t);

/* disk.c */
int selftest_disk_init(struct device *parent);
void selftest_disk_exit(void);

#endif /* PYKIT_SELFTEST_H */
