/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queues that come, go, and are joined while they are in use.
 */
#ifndef RECORD_QUEUES_H
#define RECORD_QUEUES_H

enum { SET_UP, DELETED, JOINED, LEFT, BROKEN, UNBROKEN };
enum {
	STAGE_BEGIN, STAGE_PROBED, STAGE_FAILED, STAGE_REMOVE, STAGE_REMOVED, STAGE_FREEZE,
	STAGE_RESTORE, STAGE_JOINED,
};

#define RING_PACKED	(1ULL << 34)
#define IN_ORDER	(1ULL << 35)
#define EVENT_IDX	(1ULL << 29)
#define INDIRECT_DESC	(1ULL << 28)
#define ACCESS_PLATFORM	(1ULL << 33)

#define ID_BLOCK	2

/* Where x86-64 has memory if it has no variables for that: arch/x86/include/asm. */
#define DIRECT_BASE	0xffff888000000000ULL
#define PAGES_BASE	0xffffea0000000000ULL

static __noinline int trace_queue(struct queue *q, u8 op)
{
	u64 vq = q->vq;
	struct ev_queue *e = RESERVE_VQ(queue, q);
	u16 area[2] = {};

	if (!e)
		return 0;
	if (q->packed) {
		e->desc = MEMBER(vring_virtqueue, vq, packed.ring_dma_addr);
		e->avail = MEMBER(vring_virtqueue, vq, packed.driver_event_dma_addr);
		e->used = MEMBER(vring_virtqueue, vq, packed.device_event_dma_addr);
	} else {
		e->desc = MEMBER(vring_virtqueue, vq, split.queue_dma_addr);
		e->avail = e->desc + (q->avail - q->desc);
		e->used = e->desc + (q->used - q->desc);
	}
	READ(area, q->avail);
	e->avail_flags = area[0];
	e->avail_idx = area[1];
	READ(area, q->used);
	e->used_flags = area[0];
	e->used_idx = area[1];
	if (q->packed) {
		/* The two stand the other way round. */
		e->avail_flags = e->avail_idx;
		e->used_flags = e->used_idx;
		READ(e->avail_idx, q->avail);
		READ(e->used_idx, q->used);
	}
	e->size = q->size;
	e->num_queues = q->num_queues;
	e->layout = q->packed;
	e->op = op;
	SUBMIT(e);
	return 0;
}

static __noinline int find_memory(struct queue *q)
{
	u32 zero = 0;
	struct layout *layout = bpf_map_lookup_elem(&layouts, &zero);

	q->direct = DIRECT_BASE;
	q->pages = PAGES_BASE;
	if (layout && layout->direct && layout->pages) {
		READ(q->direct, layout->direct);
		READ(q->pages, layout->pages);
	}
	return 0;
}

/* Take notes of a queue, and trace it; how far it has got the core says. */
static __noinline int new_queue(u64 vq, u8 op, u16 count)
{
	u64 vdev = MEMBER(vring_virtqueue, vq, vq.vdev);
	u64 features = MEMBER(virtio_device, vdev, features);
	u32 zero = 0;
	struct queue *q;
	void *template = bpf_map_lookup_elem(&blank, &zero);
	u64 notify = MEMBER(vring_virtqueue, vq, notify);

	if (!template)
		return 0;
	if (bpf_map_update_elem(&queues, &vq, template, BPF_ANY)) {
		lose(LOST_QUEUES, 1);
		return 0;
	}
	q = bpf_map_lookup_elem(&queues, &vq);
	if (!q)
		return 0;
	q->dev = MEMBER(virtio_device, vdev, index);
	q->index = MEMBER(vring_virtqueue, vq, vq.index);
	q->num_queues = count;
	q->packed = !!(features & RING_PACKED);
	q->event_idx = !!(features & EVENT_IDX);
	q->indirect = !!(features & INDIRECT_DESC);
	q->in_order = !!(features & IN_ORDER);
	q->platform = !!(features & ACCESS_PLATFORM);
	q->blk = MEMBER(virtio_device, vdev, id.device) == ID_BLOCK;
	find_memory(q);
	q->rings = !!bpf_map_lookup_elem(&notifiers, &notify);
	/* What the driver notifies of would not be seen. */
	if (!q->rings)
		lose(LOST_NOTIFY, 1);
	q->last_used = MEMBER(vring_virtqueue, vq, last_used_idx);
	if (q->packed) {
		q->size = MEMBER(vring_virtqueue, vq, packed.vring.num);
		q->desc = MEMBER(vring_virtqueue, vq, packed.vring.desc);
		q->avail = MEMBER(vring_virtqueue, vq, packed.vring.driver);
		q->used = MEMBER(vring_virtqueue, vq, packed.vring.device);
		q->states = MEMBER(vring_virtqueue, vq, packed.desc_state);
		q->next_avail = MEMBER(vring_virtqueue, vq, packed.next_avail_idx);
		if (MEMBER(vring_virtqueue, vq, packed.avail_wrap_counter) & 1)
			q->next_avail |= WRAP;
	} else {
		q->size = MEMBER(vring_virtqueue, vq, split.vring.num);
		q->desc = MEMBER(vring_virtqueue, vq, split.vring.desc);
		q->avail = MEMBER(vring_virtqueue, vq, split.vring.avail);
		q->used = MEMBER(vring_virtqueue, vq, split.vring.used);
		q->states = MEMBER(vring_virtqueue, vq, split.desc_state);
		READ(q->next_avail, q->avail + 2);
	}
	q->kick_idx = q->next_avail;
	q->vq = vq;
	trace_queue(q, op);
	return 0;
}

static __noinline int delete_queue(struct queue *q)
{
	u64 vq = q->vq;

	trace_back(q);
	trace_queue(q, DELETED);
	bpf_map_delete_elem(&queues, &vq);
	return 0;
}

/* What is done to each queue of a device. */
enum { COUNT_QUEUES, MAKE_QUEUES, TRACE_QUEUES, FORGET_QUEUES };

struct each {
	u64 at;
	u64 head;
	u16 count;
	u8 what;
	u8 op;
};

static long each_queue(u32 n, struct each *each)
{
	u64 vq = each->at - PLACE(virtqueue, list);
	struct queue *q;

	if (!each->at || each->at == each->head)
		return 1;
	each->at = MEMBER(list_head, each->at, next);
	if (each->what == COUNT_QUEUES) {
		each->count++;
		return 0;
	}
	if (each->what == MAKE_QUEUES) {
		new_queue(vq, each->op, each->count);
		return 0;
	}
	q = bpf_map_lookup_elem(&queues, &vq);
	if (!q)
		return 0;
	if (each->what == FORGET_QUEUES)
		return delete_queue(q);
	trace_queue(q, each->op);
	return 0;
}

static __noinline int for_each_queue(u64 vdev, u8 what, u8 op, u16 count)
{
	struct each each = {
		.head = vdev + PLACE(virtio_device, vqs),
		.what = what,
		.op = op,
		.count = count,
	};

	each.at = MEMBER(list_head, each.head, next);
	bpf_loop(1 << 16, each_queue, &each, 0);
	return each.count;
}

static __always_inline void trace_stage(u64 vdev, u8 stage, s32 err)
{
	struct ev_driver *e = RESERVE(driver);

	if (!e)
		return;
	e->dev = MEMBER(virtio_device, vdev, index);
	e->id = MEMBER(virtio_device, vdev, id.device);
	e->err = err;
	e->stage = stage;
	SUBMIT(e);
}

/* A queue that was in use before the recorder came. */
static __noinline int join_queue(u64 vq)
{
	u64 vdev = MEMBER(vring_virtqueue, vq, vq.vdev);

	if (!bpf_map_lookup_elem(&devices, &vdev)) {
		struct device_state none = {};

		bpf_map_update_elem(&devices, &vdev, &none, BPF_NOEXIST);
		trace_stage(vdev, STAGE_JOINED, 0);
	}
	return new_queue(vq, JOINED, for_each_queue(vdev, COUNT_QUEUES, 0, 0));
}

static __always_inline struct queue *find_queue(u64 vq)
{
	return bpf_map_lookup_elem(&queues, &vq);
}

/* As find_queue(), at the entry to an operation that the driver serialises. */
static __always_inline struct queue *enter_queue(u64 vq)
{
	struct queue *q = find_queue(vq);

	if (q)
		return q;
	join_queue(vq);
	return find_queue(vq);
}

#endif /* RECORD_QUEUES_H */
