// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtqueues: the core's operations, and what they do to the ring.
 *
 * What is traced is read from ring memory, not from what the core was asked to
 * do: so a ring that was written wrongly shows. In a packed ring the device may
 * overwrite a descriptor as soon as it is available; there, what memory may no
 * longer hold is taken from the scatterlists.
 */
#include <linux/dma-direct.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "pykit_blk.h"

#define PACKED_AVAIL	BIT(VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED	BIT(VRING_PACKED_DESC_F_USED)

/**
 * pykit_ring_memory() - where memory is that the device knows by an address
 * @vdev: the device
 * @addr: address, as the device uses it
 *
 * Return: kernel address, NULL if there is none.
 */
void *pykit_ring_memory(struct virtio_device *vdev, u64 addr)
{
	struct device *parent = vdev->dev.parent;
	phys_addr_t phys = addr;

	if (!virtio_has_dma_quirk(vdev)) {
		struct iommu_domain *domain = iommu_get_domain_for_dev(parent);

		phys = domain ? iommu_iova_to_phys(domain, addr) :
				dma_to_phys(parent, addr);
	}
	return phys && pfn_valid(PHYS_PFN(phys)) ? phys_to_virt(phys) : NULL;
}

/* A packed ring has no getter for its memory, only for addresses. */
static void *ring_area(struct virtio_device *vdev, u64 addr, size_t bytes)
{
	void *first = pykit_ring_memory(vdev, addr);
	void *last = pykit_ring_memory(vdev, addr + bytes - 1);

	return first && last == first + bytes - 1 ? first : NULL;
}

static void trace_queue(struct pykit_blk_vq *q, unsigned int num_queues, u8 op)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_ring *r = &q->ring;
	struct pykit_queue_state state = {
		.desc = virtqueue_get_desc_addr(q->vq),
		.avail = virtqueue_get_avail_addr(q->vq),
		.used = virtqueue_get_used_addr(q->vq),
		.size = r->size,
		.num_queues = num_queues,
		.layout = r->is_packed,
		.op = op,
	};

	if (r->is_packed) {
		state.avail_flags = le16_to_cpu(r->driver->flags);
		state.avail_idx = le16_to_cpu(r->driver->off_wrap);
		state.used_flags = le16_to_cpu(r->device->flags);
		state.used_idx = le16_to_cpu(r->device->off_wrap);
	} else {
		state.avail_flags = virtio16_to_cpu(vdev, r->split->avail->flags);
		state.avail_idx = virtio16_to_cpu(vdev, r->split->avail->idx);
		state.used_flags = virtio16_to_cpu(vdev, r->split->used->flags);
		state.used_idx = virtio16_to_cpu(vdev, r->split->used->idx);
	}
	pykit_trace_vq(queue, &q->at, &state);
}

/**
 * pykit_ring_init() - start to keep track of a virtqueue
 * @q: the queue; vq and at are set
 * @num_queues: how many queues the device has
 *
 * Return: 0, -ENOMEM, or -EOPNOTSUPP if the ring's memory cannot be seen.
 */
int pykit_ring_init(struct pykit_blk_vq *q, unsigned int num_queues)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_ring *r = &q->ring;

	memset(r, 0, sizeof(*r));
	r->size = virtqueue_get_vring_size(q->vq);
	r->is_packed = virtio_has_feature(vdev, VIRTIO_F_RING_PACKED);
	r->event_idx = virtio_has_feature(vdev, VIRTIO_RING_F_EVENT_IDX);
	if (r->is_packed) {
		r->packed = ring_area(vdev, virtqueue_get_desc_addr(q->vq),
				      r->size * sizeof(*r->packed));
		r->driver = ring_area(vdev, virtqueue_get_avail_addr(q->vq),
				      sizeof(*r->driver));
		r->device = ring_area(vdev, virtqueue_get_used_addr(q->vq),
				      sizeof(*r->device));
		if (!r->packed || !r->driver || !r->device) {
			dev_err(&vdev->dev, "memory of packed ring %s cannot be seen\n",
				q->name);
			return -EOPNOTSUPP;
		}
		r->slots = kcalloc(r->size, sizeof(*r->slots), GFP_KERNEL);
		if (!r->slots)
			return -ENOMEM;
		r->next_avail = PYKIT_WRAP;
		r->last_used = PYKIT_WRAP;
		r->kick_idx = PYKIT_WRAP;
	} else {
		r->split = virtqueue_get_vring(q->vq);
	}

	/* A walk ends after one more than the queue has, plus an indirect one. */
	r->max_descs = r->size + 2;
	r->descs = kcalloc(r->max_descs, sizeof(*r->descs), GFP_KERNEL);
	if (!r->descs) {
		kfree(r->slots);
		r->slots = NULL;
		return -ENOMEM;
	}
	trace_queue(q, num_queues, 0);
	return 0;
}

/**
 * pykit_ring_exit() - forget a virtqueue that is about to be deleted
 * @q: the queue; the device was reset
 * @num_queues: how many queues the device has
 */
void pykit_ring_exit(struct pykit_blk_vq *q, unsigned int num_queues)
{
	if (!q->ring.descs)
		return;
	trace_queue(q, num_queues, 1);
	kfree(q->ring.descs);
	kfree(q->ring.slots);
	q->ring.descs = NULL;
	q->ring.slots = NULL;
}

static u16 packed_advance(const struct pykit_ring *r, u16 pos, u16 slots)
{
	u16 slot = (pos & ~PYKIT_WRAP) + slots;
	u16 wrap = pos & PYKIT_WRAP;

	if (slot >= r->size) {
		slot -= r->size;
		wrap ^= PYKIT_WRAP;
	}
	return slot | wrap;
}

static bool packed_is_used(const struct pykit_ring *r, u16 pos)
{
	u16 flags = le16_to_cpu(READ_ONCE(r->packed[pos & ~PYKIT_WRAP].flags));
	bool wrap = pos & PYKIT_WRAP;

	return !!(flags & PACKED_AVAIL) == wrap &&
	       !!(flags & PACKED_USED) == wrap;
}

/*
 * The buffer id of a chain that was just made available. If the device has
 * overwritten it already, it is the one among the used entries that nobody else
 * is waiting for.
 */
static u16 packed_id(const struct pykit_ring *r, u16 pos, u16 slots)
{
	unsigned int tries;
	u16 id, last = packed_advance(r, pos, slots - 1) & ~PYKIT_WRAP;

	for (tries = 0; tries < 100000; tries++) {
		u16 at = r->last_used;

		id = le16_to_cpu(READ_ONCE(r->packed[last].id));
		if (id < r->size && !r->slots[id])
			return id;
		while (packed_is_used(r, at)) {
			/* Pairs with the device's, before it wrote the flags. */
			rmb();
			id = le16_to_cpu(r->packed[at & ~PYKIT_WRAP].id);
			if (id >= r->size)
				break;
			if (!r->slots[id])
				return id;
			at = packed_advance(r, at, r->slots[id]);
		}
		cpu_relax();
	}
	return id;
}

static void read_split(struct virtio_device *vdev, const struct vring_desc *from,
		       struct pykit_desc *to)
{
	to->addr = virtio64_to_cpu(vdev, from->addr);
	to->len = virtio32_to_cpu(vdev, from->len);
	to->flags = virtio16_to_cpu(vdev, from->flags);
	to->next = virtio16_to_cpu(vdev, from->next);
}

static void read_packed(const struct vring_packed_desc *from,
			struct pykit_desc *to)
{
	to->addr = le64_to_cpu(from->addr);
	to->len = le32_to_cpu(from->len);
	to->flags = le16_to_cpu(from->flags);
	to->next = le16_to_cpu(from->id);
}

/* The scatterlists as descriptors, beginning with number @n. */
static unsigned int walk_sgs(struct pykit_ring *r, struct scatterlist *sgs[],
			     unsigned int out, unsigned int in, unsigned int n,
			     u8 table)
{
	struct scatterlist *sg;
	unsigned int i, slot = 0;

	for (i = 0; i < out + in; i++) {
		for (sg = sgs[i]; sg && n < r->max_descs; sg = sg_next(sg)) {
			r->descs[n] = (struct pykit_desc) {
				.addr = sg_phys(sg),
				.len = sg->length,
				.slot = slot,
				.flags = VRING_DESC_F_NEXT |
					 (i < out ? 0 : VRING_DESC_F_WRITE),
				.next = ++slot,
				.pos = n,
				.table = table,
			};
			n++;
		}
	}
	r->descs[n - 1].flags &= ~VRING_DESC_F_NEXT;
	return n;
}

/* The table that the descriptor before number @n points at. */
static unsigned int walk_table(struct pykit_blk_vq *q, struct scatterlist *sgs[],
			       unsigned int out, unsigned int in, unsigned int n)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_ring *r = &q->ring;
	unsigned int count = r->descs[n - 1].len / sizeof(struct vring_desc);
	void *table = pykit_ring_memory(vdev, r->descs[n - 1].addr);
	unsigned int slot = 0;

	if (!table)
		return walk_sgs(r, sgs, out, in, n, 1);

	while (n < r->max_descs && slot < count) {
		struct pykit_desc *d = &r->descs[n];

		d->slot = slot;
		d->pos = n++;
		d->table = 1;
		if (r->is_packed) {
			read_packed((struct vring_packed_desc *)table + slot, d);
			slot++;
			continue;
		}
		read_split(vdev, (struct vring_desc *)table + slot, d);
		if (!(d->flags & VRING_DESC_F_NEXT))
			break;
		slot = d->next;
	}
	return n;
}

static unsigned int walk_split(struct pykit_blk_vq *q, struct scatterlist *sgs[],
			       unsigned int out, unsigned int in, u16 head)
{
	struct pykit_ring *r = &q->ring;
	unsigned int n = 0, slot = head;

	while (n <= r->size && slot < r->size) {
		struct pykit_desc *d = &r->descs[n];

		d->slot = slot;
		d->pos = n++;
		d->table = 0;
		read_split(q->vq->vdev, &r->split->desc[slot], d);
		if (d->flags & VRING_DESC_F_INDIRECT)
			return walk_table(q, sgs, out, in, n);
		if (!(d->flags & VRING_DESC_F_NEXT))
			break;
		slot = d->next;
	}
	return n;
}

static unsigned int walk_packed(struct pykit_blk_vq *q, struct scatterlist *sgs[],
				unsigned int out, unsigned int in, u16 first,
				const struct pykit_chain *chain)
{
	struct pykit_ring *r = &q->ring;
	unsigned int n, k;

	n = walk_sgs(r, sgs, out, in, 0, 0);
	if (chain->indirect) {
		r->descs[0].len = n * sizeof(struct vring_packed_desc);
		r->descs[0].flags = VRING_DESC_F_INDIRECT;
	}
	for (k = 0; k < chain->slots; k++) {
		u16 pos = packed_advance(r, first, k);
		u16 avail = pos & PYKIT_WRAP ? PACKED_AVAIL : PACKED_USED;
		struct pykit_desc *d = &r->descs[k], now;

		d->slot = pos & ~PYKIT_WRAP;
		read_packed(&r->packed[d->slot], &now);
		/* The device writes neither address nor what it did not use. */
		d->addr = now.addr;
		d->next = chain->head;
		if ((now.flags & (PACKED_AVAIL | PACKED_USED)) == avail)
			d->flags = now.flags;
		else
			d->flags |= avail;
	}
	return chain->indirect ? walk_table(q, sgs, out, in, 1) : n;
}

/* Where the device was told to write the status byte that is at @status. */
static u64 status_address(struct pykit_blk_vq *q, unsigned int n, u8 *status)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_desc *descs = q->ring.descs;
	unsigned int i;

	if (virtio_has_dma_quirk(vdev))
		return virt_to_phys(status);
	for (i = n; i--;)
		if (pykit_ring_memory(vdev, descs[i].addr) == status)
			return descs[i].addr;
	/* Bounced: only the core knows, and it wrote it last. */
	return descs[n - 1].addr;
}

/**
 * pykit_ring_add() - make a request available
 * @q: the queue, locked
 * @sgs: what the device reads, then what it writes
 * @out: how many scatterlists it reads
 * @in: how many it writes
 * @token: the request; its head is set
 * @status: the request's status byte
 * @status_addr: where to say how the device addresses that
 *
 * Return: 0, -ENOSPC if the ring is full, -EIO if it is broken, -ENOMEM.
 */
int pykit_ring_add(struct pykit_blk_vq *q, struct scatterlist *sgs[],
		   unsigned int out, unsigned int in,
		   struct pykit_blk_req *token, u8 *status, u64 *status_addr)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_ring *r = &q->ring;
	struct pykit_chain chain = { };
	unsigned int i, n, needed, total = 0;
	u16 first = r->next_avail;
	struct scatterlist *sg;
	int err;

	for (i = 0; i < out + in; i++) {
		for (sg = sgs[i]; sg; sg = sg_next(sg)) {
			total++;
			*(i < out ? &chain.readable : &chain.writable) += sg->length;
		}
	}

	/* Asked to add to a full ring the core rings the doorbell unseen. */
	needed = virtio_has_feature(vdev, VIRTIO_RING_F_INDIRECT_DESC) ? 1 : total;
	if (q->vq->num_free < needed && !virtqueue_is_broken(q->vq))
		return -ENOSPC;

	chain.num_free = q->vq->num_free;
	err = virtqueue_add_sgs(q->vq, sgs, out, in, token, GFP_ATOMIC);
	if (err)
		return err;
	chain.slots = chain.num_free - q->vq->num_free;
	chain.num_free = q->vq->num_free;
	chain.indirect = chain.slots < total;
	pykit_fault_damage(q);

	if (r->is_packed) {
		chain.head = packed_id(r, first, chain.slots);
		r->slots[chain.head] = chain.slots;
		r->next_avail = packed_advance(r, first, chain.slots);
		chain.avail_idx = r->next_avail;
	} else {
		const struct vring *split = r->split;

		chain.head = virtio16_to_cpu(vdev, split->avail->ring[first & (r->size - 1)]);
		chain.avail_idx = virtio16_to_cpu(vdev, split->avail->idx);
		r->next_avail = first + 1;
	}
	token->head = chain.head;

	if (trace_pykit_add_enabled() || trace_pykit_desc_enabled() ||
	    trace_pykit_blk_start_enabled()) {
		n = r->is_packed ? walk_packed(q, sgs, out, in, first, &chain) :
				   walk_split(q, sgs, out, in, chain.head);
		chain.chain = n - chain.indirect;
		*status_addr = status_address(q, n, status);
		pykit_trace_vq(add, &q->at, &chain);
		for (i = 0; i < n; i++)
			pykit_trace_vq(desc, &q->at, chain.head, &r->descs[i]);
	}
	pykit_fault_mend(q);
	return 0;
}

static void read_event(struct pykit_blk_vq *q, u16 *event, u16 *flags)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_ring *r = &q->ring;

	if (r->is_packed) {
		*event = le16_to_cpu(READ_ONCE(r->device->off_wrap));
		*flags = le16_to_cpu(READ_ONCE(r->device->flags));
		return;
	}
	*flags = virtio16_to_cpu(vdev, READ_ONCE(r->split->used->flags));
	*event = *flags;
	if (r->event_idx) {
		__virtio16 *avail_event = &vring_avail_event(r->split);

		*event = virtio16_to_cpu(vdev, READ_ONCE(*avail_event));
	}
}

/**
 * pykit_ring_kick_prepare() - decide whether to notify the device
 * @q: the queue, locked
 *
 * Return: whether to call pykit_ring_notify(), from the same task, after the
 * lock was released.
 */
bool pykit_ring_kick_prepare(struct pykit_blk_vq *q)
{
	struct pykit_ring *r = &q->ring;
	struct pykit_kick kick = {
		.old = r->kick_idx,
		.new = r->next_avail,
		.event_idx = r->event_idx,
	};

	/*
	 * What was made available comes before what the device asks for, as for
	 * the core's own look at it.
	 */
	mb();
	read_event(q, &kick.event, &kick.flags);
	kick.needed = virtqueue_kick_prepare(q->vq);
	read_event(q, &kick.event_after, &kick.flags_after);
	r->kick_idx = r->next_avail;
	pykit_trace_vq(kick, &q->at, &kick);

	return kick.needed && !pykit_fault_withhold(q);
}

/**
 * pykit_ring_notify() - notify the device
 * @q: the queue; need not be locked
 */
void pykit_ring_notify(struct pykit_blk_vq *q)
{
	pykit_trace_vq(notify, &q->at);
	virtqueue_notify(q->vq);
}

static u16 used_idx(struct pykit_blk_vq *q)
{
	struct pykit_ring *r = &q->ring;

	if (r->is_packed)
		return r->last_used + packed_is_used(r, r->last_used);
	return virtio16_to_cpu(q->vq->vdev, READ_ONCE(r->split->used->idx));
}

/**
 * pykit_ring_interrupt() - say that the device has sent an interrupt
 * @q: the queue; need not be locked
 */
void pykit_ring_interrupt(struct pykit_blk_vq *q)
{
	pykit_trace_vq(interrupt, &q->at, used_idx(q), q->ring.last_used);
}

static void read_used(struct pykit_blk_vq *q, u16 index, struct pykit_used *used)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_ring *r = &q->ring;

	used->index = index;
	if (r->is_packed) {
		struct vring_packed_desc *d = &r->packed[index & ~PYKIT_WRAP];

		used->id = le16_to_cpu(d->id);
		used->len = le32_to_cpu(d->len);
	} else {
		vring_used_elem_t *e = &r->split->used->ring[index & (r->size - 1)];

		used->id = virtio32_to_cpu(vdev, e->id);
		used->len = virtio32_to_cpu(vdev, e->len);
	}
}

/**
 * pykit_ring_get() - take the next used entry
 * @q: the queue, locked
 * @len: where to say how much the device wrote
 *
 * Return: the request, NULL if there is none or the queue is broken.
 */
struct pykit_blk_req *pykit_ring_get(struct pykit_blk_vq *q, u32 *len)
{
	struct pykit_ring *r = &q->ring;
	struct pykit_blk_req *token;
	struct pykit_used used = { .used_idx = used_idx(q) };

	if (used.used_idx == r->last_used)
		return NULL;
	if (r->is_packed)
		used.used_idx = r->last_used;
	/* The entry is not read before the index that tells of it. */
	rmb();
	read_used(q, r->last_used, &used);
	pykit_fault_before_get(q, &used);
	token = virtqueue_get_buf(q->vq, len);
	used.accepted = !!token;
	pykit_trace_vq(used, &q->at, &used);
	if (!token)
		return NULL;

	if (r->is_packed) {
		r->last_used = packed_advance(r, r->last_used, r->slots[used.id]);
		r->slots[used.id] = 0;
	} else {
		r->last_used++;
	}
	if (pykit_fault_take_again(q)) {
		read_used(q, used.index, &used);
		pykit_trace_vq(used, &q->at, &used);
	}
	return token;
}

static void trace_callback(struct pykit_blk_vq *q, bool enable, bool pending)
{
	struct virtio_device *vdev = q->vq->vdev;
	struct pykit_ring *r = &q->ring;
	struct pykit_callback cb = {
		.last_used = r->last_used,
		.used_idx = used_idx(q),
		.event_idx = r->event_idx,
		.enable = enable,
		.pending = pending,
	};

	if (r->is_packed) {
		cb.avail_flags = le16_to_cpu(r->driver->flags);
		cb.used_event = le16_to_cpu(r->driver->off_wrap);
	} else {
		cb.avail_flags = virtio16_to_cpu(vdev, r->split->avail->flags);
		cb.used_event = virtio16_to_cpu(vdev, vring_used_event(r->split));
	}
	pykit_trace_vq(callback, &q->at, &cb);
}

/**
 * pykit_ring_disable_cb() - ask the device not to interrupt
 * @q: the queue, locked
 */
void pykit_ring_disable_cb(struct pykit_blk_vq *q)
{
	virtqueue_disable_cb(q->vq);
	trace_callback(q, false, false);
}

/**
 * pykit_ring_enable_cb() - ask the device to interrupt
 * @q: the queue, locked
 *
 * Return: false if there is more to take already.
 */
bool pykit_ring_enable_cb(struct pykit_blk_vq *q)
{
	bool enabled = virtqueue_enable_cb(q->vq);

	trace_callback(q, true, !enabled);
	return enabled;
}
