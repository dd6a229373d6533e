// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's side of a virtqueue, split and packed.
 */
#include <linux/io.h>

#include "soft.h"

#define AVAIL	BIT(VRING_PACKED_DESC_F_AVAIL)
#define USED	BIT(VRING_PACKED_DESC_F_USED)

static bool soft_is_packed(struct soft_vq *q)
{
	return virtio_has_feature(q->vq->vdev, VIRTIO_F_RING_PACKED);
}

static bool soft_event_idx(struct soft_vq *q)
{
	return virtio_has_feature(q->vq->vdev, VIRTIO_RING_F_EVENT_IDX);
}

static unsigned int soft_ring_size(struct soft_vq *q)
{
	return virtqueue_get_vring_size(q->vq);
}

static const struct vring *soft_split(struct soft_vq *q)
{
	return virtqueue_get_vring(q->vq);
}

static struct vring_packed_desc *soft_packed(struct soft_vq *q)
{
	return phys_to_virt(virtqueue_get_desc_addr(q->vq));
}

static struct vring_packed_desc_event *soft_driver_event(struct soft_vq *q)
{
	return phys_to_virt(virtqueue_get_avail_addr(q->vq));
}

static struct vring_packed_desc_event *soft_device_event(struct soft_vq *q)
{
	return phys_to_virt(virtqueue_get_used_addr(q->vq));
}

/**
 * soft_start() - begin at the begin of a queue's ring
 * @q: the queue
 */
void soft_start(struct soft_vq *q)
{
	q->next_avail = 0;
	q->next_used = 0;
	q->avail_wrap = true;
	q->used_wrap = true;
	q->pushed = 0;
	q->notified = 0;
}

/* What the device reads comes first: else the driver has it wrong. */
static bool soft_take(struct soft_chain *chain, u64 addr, u32 len, bool write)
{
	struct soft_buf *buf = &chain->bufs[chain->out + chain->in];

	if (chain->out + chain->in == SOFT_MAX_BUFS || (!write && chain->in))
		return false;
	buf->addr = phys_to_virt(addr);
	buf->len = len;
	if (write)
		chain->in++;
	else
		chain->out++;
	return true;
}

static bool soft_pop_split(struct soft_vq *q, struct soft_chain *chain)
{
	struct virtio_device *vdev = q->vq->vdev;
	const struct vring *ring = soft_split(q);
	struct vring_desc *table = ring->desc;
	unsigned int left = ring->num;
	u16 slot, flags;

	if (virtio16_to_cpu(vdev, READ_ONCE(ring->avail->idx)) == q->next_avail)
		return false;
	/* Read the entry after the index that announces it. */
	virt_rmb();
	slot = virtio16_to_cpu(vdev, ring->avail->ring[q->next_avail++ % ring->num]);
	chain->id = slot;
	do {
		struct vring_desc *desc = &table[slot];
		u64 addr = virtio64_to_cpu(vdev, desc->addr);
		u32 len = virtio32_to_cpu(vdev, desc->len);

		flags = virtio16_to_cpu(vdev, desc->flags);
		slot = virtio16_to_cpu(vdev, desc->next);
		if (!chain->indirect)
			chain->slots++;
		if (flags & VRING_DESC_F_INDIRECT) {
			table = phys_to_virt(addr);
			left = len / sizeof(*table);
			slot = 0;
			chain->indirect = true;
			flags = VRING_DESC_F_NEXT;
			continue;
		}
		if (!soft_take(chain, addr, len, flags & VRING_DESC_F_WRITE))
			return false;
		left--;
	} while (flags & VRING_DESC_F_NEXT && left);
	return !(flags & VRING_DESC_F_NEXT);
}

static bool soft_take_table(struct soft_chain *chain, u64 addr, u32 len)
{
	struct vring_packed_desc *desc = phys_to_virt(addr);
	struct vring_packed_desc *end = desc + len / sizeof(*desc);

	chain->indirect = true;
	for (; desc < end; desc++)
		if (!soft_take(chain, le64_to_cpu(desc->addr), le32_to_cpu(desc->len),
			       le16_to_cpu(desc->flags) & VRING_DESC_F_WRITE))
			return false;
	return true;
}

static bool soft_pop_packed(struct soft_vq *q, struct soft_chain *chain)
{
	struct vring_packed_desc *ring = soft_packed(q);
	u16 flags = le16_to_cpu(READ_ONCE(ring[q->next_avail].flags));

	if (!!(flags & AVAIL) != q->avail_wrap || !!(flags & USED) == q->avail_wrap)
		return false;
	/* Nothing else of the chain is read before these flags. */
	virt_rmb();
	do {
		struct vring_packed_desc *desc = &ring[q->next_avail];
		u64 addr = le64_to_cpu(desc->addr);
		u32 len = le32_to_cpu(desc->len);

		flags = le16_to_cpu(desc->flags);
		chain->id = le16_to_cpu(desc->id);
		chain->slots++;
		if (++q->next_avail == soft_ring_size(q)) {
			q->next_avail = 0;
			q->avail_wrap = !q->avail_wrap;
		}
		if (flags & VRING_DESC_F_INDIRECT ?
		    !soft_take_table(chain, addr, len) :
		    !soft_take(chain, addr, len, flags & VRING_DESC_F_WRITE))
			return false;
	} while (flags & VRING_DESC_F_NEXT && chain->slots < soft_ring_size(q));
	return !(flags & VRING_DESC_F_NEXT);
}

/**
 * soft_pop() - take the next chain that the driver made available
 * @q: the queue
 * @chain: the chain
 *
 * Return: false if there is none, or none that is as it should be.
 */
bool soft_pop(struct soft_vq *q, struct soft_chain *chain)
{
	chain->slots = 0;
	chain->indirect = false;
	chain->out = 0;
	chain->in = 0;
	return soft_is_packed(q) ? soft_pop_packed(q, chain) : soft_pop_split(q, chain);
}

/**
 * soft_push() - give a chain back
 * @q: the queue
 * @id: its head or buffer id, or any number
 * @len: how many bytes were written
 * @slots: ring descriptors it took
 */
void soft_push(struct soft_vq *q, u32 id, u32 len, u16 slots)
{
	struct virtio_device *vdev = q->vq->vdev;
	const struct vring *ring = soft_split(q);
	struct vring_packed_desc *desc;
	vring_used_elem_t *elem;

	if (!soft_is_packed(q)) {
		elem = &ring->used->ring[q->next_used++ % ring->num];
		elem->id = cpu_to_virtio32(vdev, id);
		elem->len = cpu_to_virtio32(vdev, len);
		/* The index announces the entry: write it last. */
		virt_wmb();
		WRITE_ONCE(ring->used->idx, cpu_to_virtio16(vdev, q->next_used));
		q->pushed++;
		return;
	}
	desc = &soft_packed(q)[q->next_used];
	desc->id = cpu_to_le16(id);
	desc->len = cpu_to_le32(len);
	/* The flags announce the rest: write them last. */
	virt_wmb();
	WRITE_ONCE(desc->flags, cpu_to_le16(q->used_wrap ? AVAIL | USED : 0));
	q->pushed += slots;
	q->next_used += slots;
	if (q->next_used >= soft_ring_size(q)) {
		q->next_used -= soft_ring_size(q);
		q->used_wrap = !q->used_wrap;
	}
}

static bool soft_packed_wants_interrupt(struct soft_vq *q)
{
	struct vring_packed_desc_event *event = soft_driver_event(q);
	u16 off = le16_to_cpu(event->off_wrap);
	bool wrap = off >> VRING_PACKED_EVENT_F_WRAP_CTR;
	u16 flags;

	/* Where comes after whether. */
	virt_rmb();
	flags = le16_to_cpu(event->flags);
	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags == VRING_PACKED_EVENT_FLAG_ENABLE;
	off &= ~BIT(VRING_PACKED_EVENT_F_WRAP_CTR);
	if (wrap != q->used_wrap)
		off -= soft_ring_size(q);
	return vring_need_event(off, q->next_used, q->next_used - q->pushed);
}

static bool soft_split_wants_interrupt(struct soft_vq *q)
{
	struct virtio_device *vdev = q->vq->vdev;
	const struct vring *ring = soft_split(q);

	if (soft_event_idx(q))
		return vring_need_event(virtio16_to_cpu(vdev, vring_used_event(ring)),
					q->next_used, q->next_used - q->pushed);
	return !(virtio16_to_cpu(vdev, ring->avail->flags) &
		 VRING_AVAIL_F_NO_INTERRUPT);
}

/**
 * soft_wants_interrupt() - whether the driver asks for an interrupt
 * @q: the queue
 *
 * Return: whether it does, of what was pushed since this was asked last.
 */
bool soft_wants_interrupt(struct soft_vq *q)
{
	bool wants;

	/* What was pushed comes before the question. */
	virt_mb();
	wants = soft_is_packed(q) ? soft_packed_wants_interrupt(q) :
			       soft_split_wants_interrupt(q);
	q->pushed = 0;
	return wants;
}

/**
 * soft_wants_notify() - say whether the device wants to be notified
 * @q: the queue
 * @wants: whether it does, of the next chain
 */
void soft_wants_notify(struct soft_vq *q, bool wants)
{
	struct virtio_device *vdev = q->vq->vdev;
	/* What was made available a moment ago is as far away as can be. */
	u16 event = wants ? q->next_avail : q->next_avail - 1;

	if (soft_is_packed(q)) {
		soft_device_event(q)->flags =
			cpu_to_le16(wants ? VRING_PACKED_EVENT_FLAG_ENABLE :
					    VRING_PACKED_EVENT_FLAG_DISABLE);
	} else if (soft_event_idx(q)) {
		vring_avail_event(soft_split(q)) = cpu_to_virtio16(vdev, event);
	} else {
		soft_split(q)->used->flags =
			cpu_to_virtio16(vdev, wants ? 0 : VRING_USED_F_NO_NOTIFY);
	}
	/* Who looks for chains next sees those that came before this was seen. */
	virt_mb();
}
