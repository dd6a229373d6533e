// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a virtqueue's ring from memory, and emits its events.
 *
 * Events hold what stands in ring memory, not what the core was asked to do, so that
 * a wrongly written ring shows. In a packed ring the device may overwrite a
 * descriptor as soon as it is available: what memory may no longer hold is taken
 * from the scatterlists there.
 */
#include <linux/delay.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/iommu.h>
#include <linux/jhash.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/virtio_ids.h>

#include <pykit_passed.h>
#include <pykit_ring.h>

#include "../compat/virtio.h"

#define PACKED_AVAIL	BIT(VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED	BIT(VRING_PACKED_DESC_F_USED)

/* What of the driver area is not as the driver left it. */
#define AREA_ENTRY	BIT(0)
#define AREA_INDEX	BIT(1)
#define AREA_EVENT	BIT(2)

/* What became of bytes that are the driver's. */
#define BYTES_UNKNOWN	0
#define BYTES_KEPT	1
#define BYTES_ALTERED	2

/* A device that writes a used entry is done after a few reads of it. */
#define PACKED_ID_TRIES	1000

/* How often an entry that the core refused is read again, and how far apart. */
#define STEADY_READS	40
#define STEADY_US	5

/* Whether the addresses that the device uses can be translated from here. */
static bool pykit_ring_can_translate(struct virtio_device *vdev)
{
	struct device *parent = vdev->dev.parent;

	if (compat_has_own_map(vdev))
		return false;
	return virtio_has_dma_quirk(vdev) || iommu_get_domain_for_dev(parent) ||
	       !get_dma_ops(parent);
}

/**
 * pykit_ring_memory() - find the memory behind an address of the device
 * @vdev: the device
 * @addr: address, as the device uses it
 *
 * The device may have written the address: the memory need not be mapped. Read it
 * with pykit_ring_read(), unless the address came from the virtio core.
 *
 * Return: kernel address, NULL if no memory is there or the address cannot be
 * translated.
 */
void *pykit_ring_memory(struct virtio_device *vdev, u64 addr)
{
	struct device *parent = vdev->dev.parent;
	phys_addr_t phys = addr;

	if (!pykit_ring_can_translate(vdev))
		return NULL;
	if (!virtio_has_dma_quirk(vdev)) {
		struct iommu_domain *domain = iommu_get_domain_for_dev(parent);

		phys = domain ? iommu_iova_to_phys(domain, addr) :
				dma_to_phys(parent, addr);
	}
	return phys && pfn_valid(PHYS_PFN(phys)) ? phys_to_virt(phys) : NULL;
}
EXPORT_SYMBOL_GPL(pykit_ring_memory);

/**
 * pykit_ring_read() - read memory at an address of the device
 * @vdev: the device
 * @addr: address, as the device uses it; any value is safe
 * @to: buffer for the bytes
 * @bytes: how many to read
 *
 * Each page is translated by itself: adjacent pages of the device may lie anywhere,
 * or nowhere.
 *
 * Return: whether all bytes were read.
 */
bool pykit_ring_read(struct virtio_device *vdev, u64 addr, void *to, size_t bytes)
{
	while (bytes) {
		size_t some = min_t(size_t, bytes, PAGE_SIZE - offset_in_page(addr));
		const void *from = pykit_ring_memory(vdev, addr);

		if (!from || copy_from_kernel_nofault(to, from, some))
			return false;
		to += some;
		addr += some;
		bytes -= some;
	}
	return true;
}
EXPORT_SYMBOL_GPL(pykit_ring_read);

/* A packed ring has no getter for its memory, only for addresses. */
static void *pykit_ring_area(struct virtio_device *vdev, u64 addr, size_t bytes)
{
	void *first = pykit_ring_memory(vdev, addr);
	void *last = pykit_ring_memory(vdev, addr + bytes - 1);

	return first && last == first + bytes - 1 ? first : NULL;
}

static void pykit_ring_trace_queue(struct pykit_ring *r, u8 op)
{
	struct virtio_device *vdev = r->vq->vdev;
	struct pykit_queue_state state = {
		.desc = virtqueue_get_desc_addr(r->vq),
		.avail = virtqueue_get_avail_addr(r->vq),
		.used = virtqueue_get_used_addr(r->vq),
		.size = r->size,
		.num_queues = r->num_queues,
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
	pykit_trace_vq(queue, &r->vqid, &state);
}

/* Find the memory of a packed ring: the core exposes only its addresses. */
static int pykit_ring_find_packed(struct pykit_ring *r)
{
	struct virtio_device *vdev = r->vq->vdev;

	r->packed = pykit_ring_area(vdev, virtqueue_get_desc_addr(r->vq),
				    r->size * sizeof(*r->packed));
	r->driver = pykit_ring_area(vdev, virtqueue_get_avail_addr(r->vq),
				    sizeof(*r->driver));
	r->device = pykit_ring_area(vdev, virtqueue_get_used_addr(r->vq),
				    sizeof(*r->device));
	if (!r->packed || !r->driver || !r->device) {
		dev_err(&vdev->dev, "memory of packed ring %u cannot be seen\n",
			r->vq->index);
		return -EOPNOTSUPP;
	}
	r->slots = kcalloc(r->size, sizeof(*r->slots), GFP_KERNEL);
	return r->slots ? 0 : -ENOMEM;
}

/**
 * pykit_ring_free() - give back what it takes to keep track
 * @r: what was kept track in
 */
void pykit_ring_free(struct pykit_ring *r)
{
	pykit_passed_forget(&r->vqid, NULL);
	kfree(r->descs);
	kfree(r->slots);
	kfree(r->chains);
	kvfree(r->kept);
	kfree(r->kept_area);
	r->kept = NULL;
	r->kept_area = NULL;
	r->descs = NULL;
	r->slots = NULL;
	r->chains = NULL;
}
EXPORT_SYMBOL_GPL(pykit_ring_free);

/**
 * pykit_ring_init() - prepare to keep track of a virtqueue
 * @r: what to keep track in
 * @vq: the queue
 * @by: source of the events
 * @num_queues: how many queues the device has
 *
 * Return: 0, -ENOMEM, or -EOPNOTSUPP if the ring's memory cannot be seen.
 */
int pykit_ring_init(struct pykit_ring *r, struct virtqueue *vq,
		    enum pykit_by by, unsigned int num_queues)
{
	struct virtio_device *vdev = vq->vdev;
	int err;

	*r = (struct pykit_ring) {
		.vq = vq,
		.vqid = { .dev = vdev->index, .vq = vq->index, .by = by },
		.size = virtqueue_get_vring_size(vq),
		.num_queues = num_queues,
		.is_packed = virtio_has_feature(vdev, VIRTIO_F_RING_PACKED),
		.event_idx = virtio_has_feature(vdev, VIRTIO_RING_F_EVENT_IDX),
	};
	if (r->is_packed) {
		err = pykit_ring_find_packed(r);
		if (err)
			return err;
	} else {
		r->split = virtqueue_get_vring(vq);
	}

	/* A walk ends after one more than the queue has, plus an indirect one. */
	r->max_descs = r->size + 2;
	r->chains = kcalloc(r->size, sizeof(*r->chains), GFP_KERNEL);
	r->descs = kcalloc(r->max_descs, sizeof(*r->descs), GFP_KERNEL);
	if (!r->chains || !r->descs) {
		pykit_ring_free(r);
		return -ENOMEM;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(pykit_ring_init);

/* What the driver has asked for, as the device will find it. */
static void pykit_ring_read_suppression(const struct pykit_ring *r, u16 *event, u16 *flags)
{
	struct virtio_device *vdev = r->vq->vdev;

	if (r->is_packed) {
		*event = le16_to_cpu(r->driver->off_wrap);
		*flags = le16_to_cpu(r->driver->flags);
	} else {
		*event = virtio16_to_cpu(vdev, vring_used_event(r->split));
		*flags = virtio16_to_cpu(vdev, r->split->avail->flags);
	}
}

/* Nothing but the driver changes that from here on. */
static void pykit_ring_leave_suppression(struct pykit_ring *r, u16 event, u16 flags)
{
	r->event = event;
	r->event_flags = flags;
	r->left = true;
}

/**
 * pykit_ring_begin() - start to keep track of a virtqueue that was just set up
 * @r: what to keep track in, prepared
 */
void pykit_ring_begin(struct pykit_ring *r)
{
	if (r->is_packed) {
		r->next_avail = PYKIT_WRAP;
		r->last_used = PYKIT_WRAP;
		r->kick_idx = PYKIT_WRAP;
	}
	pykit_ring_trace_queue(r, PYKIT_QUEUE_SET_UP);
}
EXPORT_SYMBOL_GPL(pykit_ring_begin);

/**
 * pykit_ring_join() - start to keep track of a virtqueue that is in use
 * @r: what to keep track in, prepared; the ring is locked
 * @last_used: what the core calls the next used entry to be taken
 *
 * Return: whether all is known: in a packed ring not while buffers are
 * outstanding, for memory does not tell how many descriptors they take.
 */
bool pykit_ring_join(struct pykit_ring *r, u16 last_used)
{
	if (r->is_packed && r->vq->num_free != r->size)
		return false;
	r->last_used = last_used;
	r->next_avail = r->is_packed ? last_used :
			virtio16_to_cpu(r->vq->vdev, r->split->avail->idx);
	/* What was added since the last decision is not known; none, at best. */
	r->kick_idx = r->next_avail;
	pykit_ring_trace_queue(r, PYKIT_QUEUE_JOINED);
	return true;
}
EXPORT_SYMBOL_GPL(pykit_ring_join);

/**
 * pykit_ring_read_used() - read a used entry again
 * @r: the ring, locked
 * @used: the entry; its index is set
 */
void pykit_ring_read_used(struct pykit_ring *r, struct pykit_used *used)
{
	struct virtio_device *vdev = r->vq->vdev;

	if (r->is_packed) {
		struct vring_packed_desc *d = &r->packed[used->index & ~PYKIT_WRAP];

		used->id = le16_to_cpu(d->id);
		used->len = le32_to_cpu(d->len);
		used->flags = le16_to_cpu(d->flags);
	} else {
		vring_used_elem_t *e = &r->split->used->ring[used->index &
							     (r->size - 1)];

		used->id = virtio32_to_cpu(vdev, e->id);
		used->len = virtio32_to_cpu(vdev, e->len);
	}
}
EXPORT_SYMBOL_GPL(pykit_ring_read_used);

/*
 * Trace what became of the chain that was taken last. Its used entry is read again: it
 * is not the device's to write before another chain is made available.
 */
static void pykit_ring_trace_back(struct pykit_ring *r)
{
	struct pykit_used now = { .index = r->back.index };

	if (!r->is_back)
		return;
	r->is_back = false;
	pykit_ring_read_used(r, &now);
	r->back.id = now.id;
	r->back.len = now.len;
	r->back.slot = r->touched_slot;
	r->back.between = r->touched;
	r->touched = 0;
	r->touched_slot = 0;
	pykit_trace_vq(compared, &r->vqid, &r->back);
}

/**
 * pykit_ring_end() - forget a virtqueue
 * @r: what was kept track in, if it was
 * @op: whether the queue is about to be deleted (the device was reset), or lives on
 */
void pykit_ring_end(struct pykit_ring *r, enum pykit_queue_op op)
{
	if (r->descs) {
		/* Where the driver goes on, chains were added that were not seen. */
		if (op != PYKIT_QUEUE_LEFT)
			pykit_ring_trace_back(r);
		pykit_ring_trace_queue(r, op);
	}
	pykit_ring_free(r);
}
EXPORT_SYMBOL_GPL(pykit_ring_end);

static bool pykit_ring_packed_is_used(const struct pykit_ring *r, u16 pos)
{
	u16 flags = le16_to_cpu(READ_ONCE(r->packed[pos & ~PYKIT_WRAP].flags));
	bool wrap = pos & PYKIT_WRAP;

	return !!(flags & PACKED_AVAIL) == wrap &&
	       !!(flags & PACKED_USED) == wrap;
}

/*
 * Look for the buffer id of a new chain among the used entries: it is the one that
 * no older chain has. The device may write anything there, so at most one round of
 * the ring is looked at.
 */
static int pykit_ring_used_packed_id(const struct pykit_ring *r)
{
	u16 id, at = r->last_used;
	unsigned int seen;

	for (seen = 0; seen < r->size && pykit_ring_packed_is_used(r, at); seen += r->slots[id]) {
		/* Pairs with the device's, before it wrote the flags. */
		rmb();
		id = le16_to_cpu(READ_ONCE(r->packed[at & ~PYKIT_WRAP].id));
		if (id >= r->size)
			return -EINVAL;
		if (!r->slots[id])
			return id;
		at = pykit_ring_advance(r, at, r->slots[id]);
	}
	return -EAGAIN;
}

/*
 * Read the buffer id of a chain that was just made available.
 *
 * The device may have overwritten the descriptor with a used entry already. While it
 * writes that, the id is another chain's: read again, but not for long, as the queue
 * is locked and the device may never finish.
 *
 * Return: the id, which is below the ring's size, or an error if it is not known.
 */
static int pykit_ring_packed_id(const struct pykit_ring *r, u16 pos, u16 slots)
{
	u16 last = pykit_ring_advance(r, pos, slots - 1) & ~PYKIT_WRAP;
	unsigned int tries;
	int id;

	for (tries = 0; tries < PACKED_ID_TRIES; tries++) {
		id = le16_to_cpu(READ_ONCE(r->packed[last].id));
		if (id >= r->size)
			return -EINVAL;
		if (!r->slots[id])
			return id;
		id = pykit_ring_used_packed_id(r);
		if (id != -EAGAIN)
			return id;
		cpu_relax();
	}
	return -EAGAIN;
}

static void pykit_ring_read_split(struct virtio_device *vdev, const struct vring_desc *from,
				  struct pykit_desc *to)
{
	to->addr = virtio64_to_cpu(vdev, from->addr);
	to->len = virtio32_to_cpu(vdev, from->len);
	to->flags = virtio16_to_cpu(vdev, from->flags);
	to->next = virtio16_to_cpu(vdev, from->next);
}

/* Each field is read once: the device may be writing to it. */
static void pykit_ring_read_packed(const struct vring_packed_desc *from,
				   struct pykit_desc *to)
{
	to->addr = le64_to_cpu(READ_ONCE(from->addr));
	to->len = le32_to_cpu(READ_ONCE(from->len));
	to->flags = le16_to_cpu(READ_ONCE(from->flags));
	to->next = le16_to_cpu(READ_ONCE(from->id));
}

/* The scatterlists as descriptors, beginning with number @n. */
static unsigned int pykit_ring_walk_sgs(struct pykit_ring *r, const struct pykit_sgs *s,
					unsigned int n, u8 table)
{
	struct scatterlist *sg;
	unsigned int i, slot = 0;

	for (i = 0; i < s->out + s->in; i++) {
		for (sg = s->sgs[i]; sg && n < r->max_descs; sg = sg_next(sg)) {
			r->descs[n] = (struct pykit_desc) {
				.addr = sg_phys(sg),
				.len = sg->length,
				.slot = slot,
				.flags = VRING_DESC_F_NEXT |
					 (i < s->out ? 0 : VRING_DESC_F_WRITE),
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

/*
 * Read the table that the descriptor before number @n points at. The device can write
 * both that descriptor and the table: what cannot be read ends the walk.
 */
static unsigned int pykit_ring_walk_table(struct pykit_ring *r, const struct pykit_sgs *s,
					  unsigned int n)
{
	struct virtio_device *vdev = r->vq->vdev;
	unsigned int count = r->descs[n - 1].len / sizeof(struct vring_desc);
	u64 table = r->descs[n - 1].addr;
	unsigned int slot = 0;
	union {
		struct vring_desc split;
		struct vring_packed_desc packed;
	} desc;

	if (!pykit_ring_can_translate(vdev))
		return pykit_ring_walk_sgs(r, s, n, 1);

	while (n < r->max_descs && slot < count) {
		struct pykit_desc *d = &r->descs[n];

		if (!pykit_ring_read(vdev, table + slot * sizeof(desc), &desc,
				     sizeof(desc)))
			break;
		d->slot = slot;
		d->pos = n++;
		d->table = 1;
		if (r->is_packed) {
			pykit_ring_read_packed(&desc.packed, d);
			slot++;
			continue;
		}
		pykit_ring_read_split(vdev, &desc.split, d);
		if (!(d->flags & VRING_DESC_F_NEXT))
			break;
		slot = d->next;
	}
	return n;
}

static unsigned int pykit_ring_walk_split(struct pykit_ring *r, const struct pykit_sgs *s)
{
	unsigned int n = 0, slot = s->chain.head;

	while (n <= r->size && slot < r->size) {
		struct pykit_desc *d = &r->descs[n];

		d->slot = slot;
		d->pos = n++;
		d->table = 0;
		pykit_ring_read_split(r->vq->vdev, &r->split->desc[slot], d);
		if (d->flags & VRING_DESC_F_INDIRECT)
			return pykit_ring_walk_table(r, s, n);
		if (!(d->flags & VRING_DESC_F_NEXT))
			break;
		slot = d->next;
	}
	return n;
}

static unsigned int pykit_ring_walk_packed(struct pykit_ring *r, const struct pykit_sgs *s)
{
	unsigned int n, k;

	n = pykit_ring_walk_sgs(r, s, 0, 0);
	if (s->chain.indirect) {
		r->descs[0].len = n * sizeof(struct vring_packed_desc);
		r->descs[0].flags = VRING_DESC_F_INDIRECT;
	}
	for (k = 0; k < s->chain.slots; k++) {
		u16 pos = pykit_ring_advance(r, s->first, k);
		u16 avail = pos & PYKIT_WRAP ? PACKED_AVAIL : PACKED_USED;
		struct pykit_desc *d = &r->descs[k], now;

		d->slot = pos & ~PYKIT_WRAP;
		now = (struct pykit_desc) { .slot = d->slot, .pos = k };
		pykit_ring_read_packed(&r->packed[d->slot], &now);
		/* What stands in memory, whichever side wrote it; the rules decide that. */
		pykit_trace_vq(slot, &r->vqid, s->chain.head, &now);
		/* The device writes neither address nor what it did not use. */
		d->addr = now.addr;
		d->next = s->chain.head;
		if ((now.flags & (PACKED_AVAIL | PACKED_USED)) == avail)
			d->flags = now.flags;
		else
			d->flags |= avail;
	}
	return s->chain.indirect ? pykit_ring_walk_table(r, s, 1) : n;
}

/*
 * Which descriptor of a chain is not that of the buffer that the core was given, as
 * struct pykit_chain has it. Where the core maps buffers, only it knows their addresses.
 */
static u16 pykit_ring_differing(const struct pykit_ring *r, const struct pykit_sgs *s)
{
	struct virtio_device *vdev = r->vq->vdev;
	const struct pykit_desc *d = r->descs + s->chain.indirect;
	struct scatterlist *sg;
	unsigned int i, n = 0;

	if (!virtio_has_dma_quirk(vdev) || compat_has_own_map(vdev) ||
	    s->total + s->chain.indirect > r->max_descs)
		return 0;

	for (i = 0; i < s->out + s->in; i++) {
		bool writable = i >= s->out;

		for (sg = s->sgs[i]; sg; sg = sg_next(sg), d++) {
			/* A list that its driver has mapped has no pages. */
			u64 addr = sg_page(sg) ? sg_phys(sg) : sg_dma_address(sg);
			bool written = d->flags & VRING_DESC_F_WRITE;

			if (n++ == s->chain.chain || d->addr != addr ||
			    d->len != sg->length || written != writable)
				return n;
		}
	}
	return n == s->chain.chain ? PYKIT_DIFFERS_NONE : n + 1;
}

static void pykit_ring_read_event(struct pykit_ring *r, u16 *event, u16 *flags)
{
	struct virtio_device *vdev = r->vq->vdev;

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

static u16 pykit_ring_used_idx(struct pykit_ring *r)
{
	if (r->is_packed)
		return r->last_used + pykit_ring_packed_is_used(r, r->last_used);
	return virtio16_to_cpu(r->vq->vdev, READ_ONCE(r->split->used->idx));
}

/* Read what the device will read first; a list that its driver has mapped has no pages. */
static size_t pykit_ring_read_first(const struct pykit_sgs *s, void *to, size_t bytes)
{
	size_t done = 0;
	struct scatterlist *sg;
	unsigned int i;

	for (i = 0; i < s->out; i++)
		for (sg = s->sgs[i]; sg && sg_page(sg) && done < bytes; sg = sg_next(sg))
			done += sg_copy_to_buffer(sg, 1, to + done, bytes - done);
	return done;
}

/* Until its chain is back the driver leaves a request's header alone. */
static void pykit_ring_read_header(const struct pykit_ring *r, struct pykit_sgs *s)
{
	s->has_header = false;
	s->opening.bytes = 0;
	if (r->vq->vdev->id.device != VIRTIO_ID_BLOCK) {
		if (trace_pykit_opening_enabled()) {
			memset(s->opening.value, 0, sizeof(s->opening.value));
			s->opening.bytes = pykit_ring_read_first(s, s->opening.value,
								 sizeof(s->opening.value));
		}
	} else if (trace_pykit_compared_enabled() || trace_pykit_blk_start_enabled()) {
		s->has_header = pykit_ring_read_first(s, s->header, sizeof(s->header)) ==
				sizeof(s->header);
	}
}

/**
 * pykit_ring_before_add() - something is about to be made available
 * @r: the ring, locked
 * @s: what; sgs, out and in are set
 */
void pykit_ring_before_add(struct pykit_ring *r, struct pykit_sgs *s)
{
	struct scatterlist *sg;
	unsigned int i;

	pykit_ring_trace_back(r);
	s->total = 0;
	s->chain = (struct pykit_chain) {
		.before = trace_pykit_add_enabled() ? ktime_get_mono_fast_ns() : 0,
		.num_free = r->vq->num_free,
		.used_idx = trace_pykit_add_enabled() ? pykit_ring_used_idx(r) : 0,
	};
	s->first = r->next_avail;
	pykit_ring_read_header(r, s);
	for (i = 0; i < s->out + s->in; i++) {
		for (sg = s->sgs[i]; sg; sg = sg_next(sg)) {
			s->total++;
			*(i < s->out ? &s->chain.readable :
				       &s->chain.writable) += sg->length;
		}
	}
	s->slots = virtio_has_feature(r->vq->vdev, VIRTIO_RING_F_INDIRECT_DESC) ?
			   1 : s->total;
	if (trace_pykit_add_failed_enabled())
		pykit_ring_read_event(r, &s->event, &s->flags);
}
EXPORT_SYMBOL_GPL(pykit_ring_before_add);

/**
 * pykit_ring_after_add() - the core has made something available
 * @r: the ring, locked
 * @s: what; its chain is filled in, but for what pykit_ring_walk() adds
 */
void pykit_ring_after_add(struct pykit_ring *r, struct pykit_sgs *s)
{
	struct virtio_device *vdev = r->vq->vdev;
	struct pykit_chain *chain = &s->chain;

	chain->slots = chain->num_free - r->vq->num_free;
	/* A core that miscounts must not lead out of the ring. */
	if (!chain->slots || chain->slots > r->size)
		chain->slots = min(s->slots, r->size);
	chain->num_free = r->vq->num_free;
	chain->indirect = chain->slots < s->total;
	if (r->is_packed) {
		int id = pykit_ring_packed_id(r, s->first, chain->slots);

		chain->head = id < 0 ? PYKIT_HEAD_UNKNOWN : id;
		if (id >= 0)
			r->slots[id] = chain->slots;
		r->next_avail = pykit_ring_advance(r, s->first, chain->slots);
		chain->avail_idx = r->next_avail;
	} else {
		const struct vring_avail *avail = r->split->avail;
		u16 slot = s->first & (r->size - 1);

		chain->head = virtio16_to_cpu(vdev, avail->ring[slot]);
		chain->avail_idx = virtio16_to_cpu(vdev, avail->idx);
		r->next_avail = s->first + 1;
	}
}
EXPORT_SYMBOL_GPL(pykit_ring_after_add);

/**
 * pykit_ring_add_failed() - something could not be made available
 * @r: the ring, locked
 * @s: what, after pykit_ring_before_add()
 * @err: why not
 * @asked: whether the core was asked; if not, its driver saw that there is no room
 *
 * If a split ring has no room for buffers that the device reads, the core notifies
 * the device inside the add, even if notifications are suppressed. That cannot be
 * seen from here, but every kernel does it, and the self-test checks that. The
 * notification is traced after the failed add.
 */
void pykit_ring_add_failed(struct pykit_ring *r, const struct pykit_sgs *s, int err,
			   bool asked)
{
	struct pykit_add_failure failure = {
		.err = err,
		.chain = s->total,
		.num_free = r->vq->num_free,
		.slots = s->slots,
		.old = r->kick_idx,
		.new = r->next_avail,
		.event = s->event,
		.flags = s->flags,
		.event_idx = r->event_idx,
		.notified = asked && err == -ENOSPC && s->out && !r->is_packed,
	};

	pykit_ring_read_event(r, &failure.event_after, &failure.flags_after);
	pykit_trace_vq(add_failed, &r->vqid, &failure);
	if (failure.notified)
		pykit_ring_trace_notify(r);
}
EXPORT_SYMBOL_GPL(pykit_ring_add_failed);

static u32 pykit_ring_sum(const struct pykit_desc *d, unsigned int n)
{
	u32 sum = n;

	for (; n; n--, d++) {
		sum = jhash_3words(lower_32_bits(d->addr), upper_32_bits(d->addr), d->len, sum);
		sum = jhash_3words(d->slot, d->flags, d->next, sum);
	}
	return sum ? sum : 1;
}

/* Of a table that cannot be read the scatterlists were taken. */
static void pykit_ring_note_descs(struct pykit_ring *r, const struct pykit_sgs *s, unsigned int n)
{
	struct pykit_ring_chain *chain = &r->chains[s->chain.head];

	if (s->chain.indirect && !pykit_ring_can_translate(r->vq->vdev))
		return;
	if (!r->is_packed) {
		chain->sum = pykit_ring_sum(r->descs, n);
	} else if (s->chain.indirect && n > 1) {
		/* The descriptor in the ring the device may have overwritten. */
		chain->table = r->descs[0].addr;
		chain->table_bytes = r->descs[0].len;
		chain->sum = pykit_ring_sum(r->descs + 1, n - 1);
	}
}

/*
 * The bytes behind a disk request's status, up to the end of the word. Drivers have
 * nothing of their own there that they use while a request is under way, as a rule.
 */
static void pykit_ring_note_behind(struct pykit_ring *r, struct pykit_ring_chain *chain,
				   unsigned int n)
{
	const struct pykit_desc *last = n ? &r->descs[n - 1] : NULL;
	u64 end;

	if (!r->kept || r->vq->vdev->id.device != VIRTIO_ID_BLOCK || !last ||
	    !(last->flags & VRING_DESC_F_WRITE))
		return;
	end = last->addr + last->len;
	chain->behind_addr = end;
	chain->num_behind = -end & (PYKIT_BEHIND_BYTES - 1);
	if (!pykit_ring_read(r->vq->vdev, end, chain->behind, chain->num_behind))
		chain->num_behind = 0;
}

/* Keep where the device writes first, to read that when the chain is back. */
static void pykit_ring_note_reply(struct pykit_ring *r, struct pykit_ring_chain *chain,
				  unsigned int n)
{
	unsigned int i;

	chain->reply_addr = 0;
	if (!trace_pykit_reply_enabled() || r->vq->vdev->id.device == VIRTIO_ID_BLOCK)
		return;
	for (i = 0; i < n; i++) {
		const struct pykit_desc *desc = &r->descs[i];

		if ((!desc->table && desc->flags & VRING_DESC_F_INDIRECT) ||
		    !(desc->flags & VRING_DESC_F_WRITE))
			continue;
		chain->reply_addr = desc->addr;
		chain->reply_bytes = desc->len;
		break;
	}
}

/* Keep what a chain and its header are, to compare them when it is back. */
static void pykit_ring_note_chain(struct pykit_ring *r, const struct pykit_sgs *s, unsigned int n)
{
	struct pykit_ring_chain *chain = &r->chains[s->chain.head];
	unsigned int i;

	chain->sum = 0;
	chain->at = s->first;
	chain->header_addr = 0;
	chain->num_behind = 0;
	pykit_ring_note_reply(r, chain, n);
	if (!trace_pykit_compared_enabled())
		return;
	pykit_ring_note_descs(r, s, n);
	pykit_ring_note_behind(r, chain, n);
	for (i = 0; i < n; i++) {
		const struct pykit_desc *desc = &r->descs[i];

		if (!desc->table && desc->flags & VRING_DESC_F_INDIRECT)
			continue;
		if (s->has_header && !(desc->flags & VRING_DESC_F_WRITE) &&
		    desc->len >= PYKIT_HEADER_BYTES)
			chain->header_addr = desc->addr;
		break;
	}
	memcpy(chain->header, s->header, sizeof(chain->header));
}

/**
 * pykit_ring_walk() - trace a chain that was made available
 * @r: the ring, locked
 * @s: what was made available, after pykit_ring_after_add()
 *
 * Return: how many descriptors there are in the ring's descs.
 */
unsigned int pykit_ring_walk(struct pykit_ring *r, struct pykit_sgs *s)
{
	unsigned int i, n;

	n = r->is_packed ? pykit_ring_walk_packed(r, s) :
			   pykit_ring_walk_split(r, s);
	if (s->chain.head < r->size)
		pykit_ring_note_chain(r, s, n);
	/* A walk that could not begin has no descriptor, not even the table's. */
	s->chain.chain = n ? n - s->chain.indirect : 0;
	s->chain.differs = pykit_ring_differing(r, s);
	pykit_trace_vq(add, &r->vqid, &s->chain);
	for (i = 0; i < n; i++)
		pykit_trace_vq(desc, &r->vqid, s->chain.head, &r->descs[i]);
	if (s->opening.bytes) {
		s->opening.head = s->chain.head;
		pykit_trace_vq(opening, &r->vqid, &s->opening);
	}
	return n;
}
EXPORT_SYMBOL_GPL(pykit_ring_walk);

/**
 * pykit_ring_before_kick() - the core is about to decide whether to notify
 * @r: the ring, locked
 * @kick: the decision
 */
void pykit_ring_before_kick(struct pykit_ring *r, struct pykit_kick *kick)
{
	*kick = (struct pykit_kick) {
		.old = r->kick_idx,
		.new = r->next_avail,
		.event_idx = r->event_idx,
	};
	/*
	 * What was made available comes before what the device asks for, as for
	 * the core's own look at it.
	 */
	mb();
	pykit_ring_read_event(r, &kick->event, &kick->flags);
}
EXPORT_SYMBOL_GPL(pykit_ring_before_kick);

/**
 * pykit_ring_after_kick() - the core has decided
 * @r: the ring, locked
 * @kick: the decision
 * @needed: what it is
 */
void pykit_ring_after_kick(struct pykit_ring *r, struct pykit_kick *kick,
			   bool needed)
{
	kick->needed = needed;
	pykit_ring_read_event(r, &kick->event_after, &kick->flags_after);
	r->kick_idx = r->next_avail;
	pykit_trace_vq(kick, &r->vqid, kick);
}
EXPORT_SYMBOL_GPL(pykit_ring_after_kick);

/**
 * pykit_ring_trace_notify() - the device is about to be notified
 * @r: the ring; need not be locked
 */
void pykit_ring_trace_notify(struct pykit_ring *r)
{
	pykit_trace_vq(notify, &r->vqid);
}
EXPORT_SYMBOL_GPL(pykit_ring_trace_notify);

/**
 * pykit_ring_trace_interrupt() - the device has sent an interrupt
 * @r: the ring; need not be locked
 * @irq: its number, 0 if that is not known
 */
void pykit_ring_trace_interrupt(struct pykit_ring *r, unsigned int irq)
{
	pykit_trace_vq(interrupt, &r->vqid, irq, pykit_ring_used_idx(r), r->last_used);
}
EXPORT_SYMBOL_GPL(pykit_ring_trace_interrupt);

/**
 * pykit_ring_trace_stray() - an interrupt came, and the next used entry is not there
 * @r: the ring; need not be locked
 * @irq: its number, 0 if that is not known
 *
 * By these it shows where a device interrupts more often than the driver asked for.
 *
 * Between the next used entry and the next chain all descriptors of a packed ring are
 * available, unless the device has used one out of its turn, or with the wrap counter
 * of another round: trace the first of these. Of the list that was taken last all but
 * the first are as they were made available, unless the device has used one of these.
 */
void pykit_ring_trace_stray(struct pykit_ring *r, unsigned int irq)
{
	u16 next = READ_ONCE(r->last_used), end = READ_ONCE(r->next_avail);
	u16 skipped = READ_ONCE(r->last_slots) ? READ_ONCE(r->last_slots) - 1 : 0;
	u16 pos = pykit_ring_advance(r, next, r->size - skipped) ^ PYKIT_WRAP;
	unsigned int seen;

	pykit_trace_vq(stray, &r->vqid, irq, pykit_ring_used_idx(r), next);
	if (!r->is_packed || !trace_pykit_slot_enabled())
		return;
	for (seen = 0; seen < r->size && pos != end; seen++) {
		struct pykit_desc now = { .slot = pos & ~PYKIT_WRAP, .pos = PYKIT_POS_STRAY };

		pykit_ring_read_packed(&r->packed[now.slot], &now);
		if (!(now.flags & PACKED_AVAIL) == !(now.flags & PACKED_USED)) {
			if (!pykit_ring_packed_is_used(r, next) &&
			    next == READ_ONCE(r->last_used))
				pykit_trace_vq(slot, &r->vqid, PYKIT_HEAD_UNKNOWN, &now);
			return;
		}
		pos = pykit_ring_advance(r, pos, 1);
	}
}
EXPORT_SYMBOL_GPL(pykit_ring_trace_stray);

/**
 * pykit_ring_before_get() - the core is about to take the next used entry
 * @r: the ring, locked
 * @used: the entry
 *
 * Return: whether there is one.
 */
bool pykit_ring_before_get(struct pykit_ring *r, struct pykit_used *used)
{
	*used = (struct pykit_used) {
		.index = r->last_used,
		.used_idx = pykit_ring_used_idx(r),
	};
	if (used->used_idx == r->last_used)
		return false;
	if (r->is_packed)
		used->used_idx = r->last_used;
	/* Read the entry after the index that announces it. */
	rmb();
	pykit_ring_read_used(r, used);
	return true;
}
EXPORT_SYMBOL_GPL(pykit_ring_before_get);

/* What of the driver area is not as the driver left it, now that a chain is back. */
static u16 pykit_ring_changed_area(struct pykit_ring *r, u32 id)
{
	struct virtio_device *vdev = r->vq->vdev;
	u16 event, flags, found = 0;

	if (!r->is_packed) {
		const struct vring_avail *avail = r->split->avail;
		u16 at = r->chains[id].at;

		/* Further chains may have got its entry. */
		if ((u16)(r->next_avail - at) <= r->size &&
		    virtio16_to_cpu(vdev, avail->ring[at & (r->size - 1)]) != id)
			found |= AREA_ENTRY;
		if (virtio16_to_cpu(vdev, avail->idx) != r->next_avail)
			found |= AREA_INDEX;
	}
	pykit_ring_read_suppression(r, &event, &flags);
	/* Other drivers may disable interrupts at any time, from an interrupt. */
	if (r->left && vdev->id.device == VIRTIO_ID_BLOCK &&
	    (event != r->event || flags != r->event_flags))
		found |= AREA_EVENT;
	return found;
}

/* The address was read from a ring that the device may write to. */
static u8 pykit_ring_compare_bytes(const struct pykit_ring *r, u64 addr, const u8 *before,
				   size_t bytes)
{
	u8 now[PYKIT_HEADER_BYTES];

	if (!addr || !bytes || !pykit_ring_read(r->vq->vdev, addr, now, bytes))
		return BYTES_UNKNOWN;
	return memcmp(now, before, bytes) ? BYTES_ALTERED : BYTES_KEPT;
}

/* Whether a chain's descriptors are not what they were when it was added. */
static bool pykit_ring_is_changed(struct pykit_ring *r, u32 id)
{
	struct pykit_sgs s = { .chain.head = id };

	return !r->is_packed &&
	       pykit_ring_sum(r->descs, pykit_ring_walk_split(r, &s)) != r->chains[id].sum;
}

/* The check sum of a chain's indirect table, as it is now. */
static u32 pykit_ring_sum_table(struct pykit_ring *r, u32 id)
{
	struct pykit_sgs s = { .chain.head = id };
	unsigned int n;

	r->descs[0].addr = r->chains[id].table;
	r->descs[0].len = r->chains[id].table_bytes;
	n = pykit_ring_walk_table(r, &s, 1);
	return pykit_ring_sum(r->descs + 1, n - 1);
}

static u8 pykit_ring_compare_table(struct pykit_ring *r, u32 id)
{
	const struct pykit_ring_chain *chain = &r->chains[id];

	if (!r->is_packed || !chain->sum)
		return BYTES_UNKNOWN;
	return pykit_ring_sum_table(r, id) != chain->sum ? BYTES_ALTERED : BYTES_KEPT;
}

/* The length is the device's word: no more is read than the driver gave it. */
static void pykit_ring_read_reply(struct pykit_ring *r, const struct pykit_used *used)
{
	const struct pykit_ring_chain *chain;
	size_t bytes;

	r->reply = (struct pykit_first) { .head = used->id };
	if (!trace_pykit_reply_enabled() || used->id >= r->size)
		return;
	chain = &r->chains[used->id];
	bytes = min3(chain->reply_bytes, used->len, (u32)sizeof(r->reply.value));
	if (chain->reply_addr &&
	    pykit_ring_read(r->vq->vdev, chain->reply_addr, r->reply.value, bytes))
		r->reply.bytes = bytes;
}

/**
 * pykit_ring_look() - look at a chain that is back, before the core takes it
 * @r: the ring, locked
 * @used: its used entry, after pykit_ring_before_get()
 *
 * The core unmaps buffers and frees indirect tables when it takes a chain. With IN_ORDER one
 * used entry may return many chains: they are not looked at.
 */
void pykit_ring_look(struct pykit_ring *r, const struct pykit_used *used)
{
	const struct pykit_ring_chain *chain;

	r->looked = false;
	pykit_ring_read_reply(r, used);
	if (!trace_pykit_compared_enabled() || used->id >= r->size ||
	    virtio_has_feature(r->vq->vdev, VIRTIO_F_IN_ORDER))
		return;
	chain = &r->chains[used->id];
	if (r->is_packed ? !r->slots[used->id] : !chain->sum)
		return;
	pykit_ring_trace_back(r);
	r->back = (struct pykit_compared) {
		.index = used->index,
		.head = used->id,
		.changed = pykit_ring_is_changed(r, used->id),
		.driver_area = pykit_ring_changed_area(r, used->id),
		.header = pykit_ring_compare_bytes(r, chain->header_addr, chain->header,
						   sizeof(chain->header)),
		.behind = pykit_ring_compare_bytes(r, chain->behind_addr, chain->behind,
						   chain->num_behind),
		.table = pykit_ring_compare_table(r, used->id),
	};
	r->looked = true;
}
EXPORT_SYMBOL_GPL(pykit_ring_look);

/**
 * pykit_ring_mended() - the driver has put right what it exposed, before the device could look
 * @r: the ring, locked
 *
 * A deliberate fault is traced and undone. Chains are compared with what they are from here on, or
 * the difference would be the device's as well.
 */
void pykit_ring_mended(struct pykit_ring *r)
{
	struct pykit_sgs s = { };
	u32 id;

	for (id = 0; id < r->size; id++) {
		s.chain.head = id;
		if (!r->chains[id].sum)
			continue;
		if (!r->is_packed)
			r->chains[id].sum = pykit_ring_sum(r->descs, pykit_ring_walk_split(r, &s));
		else if (r->slots[id])
			r->chains[id].sum = pykit_ring_sum_table(r, id);
	}
}
EXPORT_SYMBOL_GPL(pykit_ring_mended);

/* The core may have altered the used entry that it took; later nobody but the device may. */
static void pykit_ring_look_within(struct pykit_ring *r, const struct pykit_used *used)
{
	struct pykit_used now = { .index = used->index };

	pykit_ring_read_used(r, &now);
	if (now.id != used->id || now.len != used->len)
		r->touched |= TOUCHED_WITHIN;
}

/*
 * Whether a used entry stays as it is. What the core refused may not be what was read before it
 * looked: a device may alter the entry all the time, which shows within the fifth of a
 * millisecond that this takes.
 */
static bool pykit_ring_is_steady(struct pykit_ring *r, const struct pykit_used *used)
{
	struct pykit_used now = { .index = used->index };
	unsigned int n;

	for (n = 0; n < STEADY_READS; n++) {
		pykit_ring_read_used(r, &now);
		if (now.id != used->id || now.len != used->len || now.flags != used->flags)
			return false;
		udelay(STEADY_US);
	}
	return true;
}

/**
 * pykit_ring_after_get() - the core has looked at the next used entry
 * @r: the ring, locked
 * @used: the entry
 * @accepted: whether the core knew its id
 * @num_free: how many descriptors were free before
 */
void pykit_ring_after_get(struct pykit_ring *r, struct pykit_used *used,
			  bool accepted, unsigned int num_free)
{
	used->accepted = accepted ? PYKIT_ACCEPTED : PYKIT_REFUSED;
	/* The core gives a queue up with the first entry that it refuses. */
	if (!accepted && !r->refused && !pykit_ring_is_steady(r, used))
		used->accepted = PYKIT_UNSTEADY;
	r->refused |= !accepted;
	pykit_ring_read_suppression(r, &used->event, &used->event_flags);
	pykit_ring_leave_suppression(r, used->event, used->event_flags);
	pykit_trace_vq(used, &r->vqid, used);
	if (accepted) {
		if (r->reply.bytes)
			pykit_trace_vq(reply, &r->vqid, &r->reply);
		pykit_ring_took(r, used->id, num_free);
		r->is_back = r->looked;
		if (r->is_back)
			pykit_ring_look_within(r, used);
	}
	r->looked = false;
	r->reply.bytes = 0;
}
EXPORT_SYMBOL_GPL(pykit_ring_after_get);

/**
 * pykit_ring_callback() - the core has asked for interrupts, or not to have any
 * @r: the ring, locked
 * @enable: which of them
 * @pending: whether there is more to take already
 */
void pykit_ring_callback(struct pykit_ring *r, bool enable, bool pending)
{
	struct pykit_callback cb = {
		.last_used = r->last_used,
		.used_idx = pykit_ring_used_idx(r),
		.event_idx = r->event_idx,
		.enable = enable,
		.pending = pending,
	};

	pykit_ring_read_suppression(r, &cb.used_event, &cb.avail_flags);
	pykit_ring_leave_suppression(r, cb.used_event, cb.avail_flags);
	pykit_trace_vq(callback, &r->vqid, &cb);
}
EXPORT_SYMBOL_GPL(pykit_ring_callback);

/**
 * pykit_ring_detached() - the core has given back what the device did not use
 * @r: the ring, locked; its device was reset
 * @num_free: how many descriptors were free before
 */
void pykit_ring_detached(struct pykit_ring *r, unsigned int num_free)
{
	pykit_trace_vq(detach, &r->vqid, r->vq->num_free,
		       r->vq->num_free - num_free);
}
EXPORT_SYMBOL_GPL(pykit_ring_detached);

/**
 * pykit_ring_still_before() - begin to watch the queue of a device that was reset
 * @r: the ring; nothing of it is taken any more
 */
void pykit_ring_still_before(struct pykit_ring *r)
{
	pykit_ring_trace_back(r);
	r->used_idx = pykit_ring_used_idx(r);
}
EXPORT_SYMBOL_GPL(pykit_ring_still_before);

/**
 * pykit_ring_still_after() - trace whether it was used
 * @r: the ring
 */
void pykit_ring_still_after(struct pykit_ring *r)
{
	pykit_trace_vq(quiet, &r->vqid, r->used_idx, pykit_ring_used_idx(r));
}
EXPORT_SYMBOL_GPL(pykit_ring_still_after);

/**
 * pykit_ring_trace_broken() - the queue is about to be declared broken, or not to be
 * @r: the ring; need not be locked
 * @op: which of them
 */
void pykit_ring_trace_broken(struct pykit_ring *r, enum pykit_queue_op op)
{
	pykit_ring_trace_queue(r, op);
}
EXPORT_SYMBOL_GPL(pykit_ring_trace_broken);
