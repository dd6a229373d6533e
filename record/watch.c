// SPDX-License-Identifier: GPL-2.0-only
/*
 * The live table: what each queue did since the last look, with the columns that
 * pykit show --follow has. Here the time of a chain is the driver's: from where it was made
 * available to where it was taken from the used ring.
 */
#include <stdio.h>
#include <stdlib.h>

#include "watch.h"

#define HEADS	65536
#define NS	1000000000ULL

/* What a queue did since the last look. */
struct counts {
	u64 chains, back, notifications, interrupts, depths;
};

struct queue {
	struct queue *next;
	u32 dev;
	u16 vq;
	u64 *added;		/* by head or buffer id: when it was made available, else 0 */
	u32 outstanding;
	struct counts now;
	u32 deepest;		/* most outstanding since the last look */
	u64 *took;		/* ns, of those that are back */
	size_t timed, room;
};

/* In the order of their names. */
static struct queue *queues;
static u64 before;

static struct queue *find(u32 dev, u16 vq)
{
	struct queue **at = &queues, *q;

	while (*at && ((*at)->dev < dev || ((*at)->dev == dev && (*at)->vq < vq)))
		at = &(*at)->next;
	if (*at && (*at)->dev == dev && (*at)->vq == vq)
		return *at;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->added = calloc(HEADS, sizeof(*q->added));
	if (!q->added) {
		free(q);
		return NULL;
	}
	q->dev = dev;
	q->vq = vq;
	q->next = *at;
	*at = q;
	return q;
}

/* A queue that is set up has nothing outstanding. */
static void forget(struct queue *q)
{
	u32 i;

	for (i = 0; i < HEADS; i++)
		q->added[i] = 0;
	q->outstanding = 0;
}

static void note(struct queue *q, u64 ns)
{
	if (q->timed == q->room) {
		size_t room = q->room ? 2 * q->room : 1024;
		u64 *more = realloc(q->took, room * sizeof(*more));

		if (!more)
			return;
		q->took = more;
		q->room = room;
	}
	q->took[q->timed++] = ns;
}

/**
 * watch_chain() - a chain was made available
 * @ts: when, in ns
 * @add: its event
 */
void watch_chain(u64 ts, const struct ev_add *add)
{
	struct queue *q = find(add->dev, add->vq);

	if (!q)
		return;
	if (!q->added[add->head])
		q->outstanding++;
	q->added[add->head] = ts;
	q->now.chains++;
	q->now.depths += q->outstanding;
	if (q->outstanding > q->deepest)
		q->deepest = q->outstanding;
}

/**
 * watch_event() - anything else happened
 * @ts: when, in ns
 * @kind: what
 * @event: its structure
 */
void watch_event(u64 ts, u16 kind, const void *event)
{
	const struct ev_notify *notify = event;
	const struct ev_interrupt *interrupt = event;
	const struct ev_queue *queue = event;
	const struct ev_used *used = event;
	struct queue *q = NULL;

	if (kind == KIND_notify)
		q = find(notify->dev, notify->vq);
	else if (kind == KIND_interrupt)
		q = find(interrupt->dev, interrupt->vq);
	else if (kind == KIND_used && used->accepted && used->id < HEADS)
		q = find(used->dev, used->vq);
	else if (kind == KIND_queue)
		q = find(queue->dev, queue->vq);
	if (!q)
		return;
	if (kind == KIND_queue) {
		forget(q);
	} else if (kind == KIND_notify) {
		q->now.notifications++;
	} else if (kind == KIND_interrupt) {
		q->now.interrupts++;
	} else {
		q->now.back++;
		if (!q->added[used->id])
			return;
		note(q, ts - q->added[used->id]);
		q->added[used->id] = 0;
		q->outstanding--;
	}
}

static int by_value(const void *one, const void *other)
{
	u64 a = *(const u64 *)one, b = *(const u64 *)other;

	return a < b ? -1 : a > b;
}

static void print_ratio(u64 above, u64 below, int width)
{
	if (below)
		printf(" %*.2f", width, (double)above / below);
	else
		printf(" %*s", width, "-");
}

static void print_time(const struct queue *q, unsigned int percent)
{
	if (q->timed)
		printf(" %9.0f", q->took[(q->timed - 1) * percent / 100] / 1000.0);
	else
		printf(" %9s", "-");
}

/**
 * watch_print() - print what happened since the last look, if anything did
 * @now: the time, in ns
 */
void watch_print(u64 now)
{
	double seconds = before ? (double)(now - before) / NS : 0;
	struct queue *q;
	int any = 0;

	for (q = queues; q; q = q->next) {
		const struct counts *c = &q->now;

		if (!c->chains && !c->back && !c->notifications && !c->interrupts)
			continue;
		if (!any++) {
			printf("%.1f s\n", seconds);
			printf("%-8s %9s %9s %7s %7s %7s %7s %14s %9s %9s %9s\n", "queue", "count",
			       "per s", "notify", "irq", "batch", "taken", "depth", "p50 µs",
			       "p90 µs", "p99 µs");
		}
		qsort(q->took, q->timed, sizeof(*q->took), by_value);
		printf("%u.%-6u %9llu", q->dev, q->vq, (unsigned long long)c->back);
		if (seconds > 0)
			printf(" %9.0f", c->back / seconds);
		else
			printf(" %9s", "-");
		print_ratio(c->notifications, c->back, 7);
		print_ratio(c->interrupts, c->back, 7);
		print_ratio(c->chains, c->notifications, 7);
		print_ratio(c->back, c->interrupts, 7);
		print_ratio(c->depths, c->chains, 8);
		printf(" ≤%4u", q->deepest);
		print_time(q, 50);
		print_time(q, 90);
		print_time(q, 99);
		printf("\n");
		q->now = (struct counts){};
		q->deepest = q->outstanding;
		q->timed = 0;
	}
	if (any)
		fflush(stdout);
	before = now;
}
