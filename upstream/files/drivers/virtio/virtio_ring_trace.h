/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the trace events of virtio_ring.c read from a ring, where they are enabled.
 */
#ifndef _DRIVERS_VIRTIO_VIRTIO_RING_TRACE_H
#define _DRIVERS_VIRTIO_VIRTIO_RING_TRACE_H

static inline void vring_trace_state(const struct vring_virtqueue *vq, enum virtqueue_state op)
{
	struct virtio_device *vdev = vq->vq.vdev;

	if (!trace_virtqueue_state_enabled())
		return;
	if (virtqueue_is_packed(vq)) {
		const struct vring_virtqueue_packed *p = &vq->packed;

		trace_virtqueue_state(&vq->vq, op, p->ring_dma_addr, p->driver_event_dma_addr,
				      p->device_event_dma_addr,
				      le16_to_cpu(p->vring.driver->flags),
				      le16_to_cpu(p->vring.driver->off_wrap),
				      le16_to_cpu(READ_ONCE(p->vring.device->flags)),
				      le16_to_cpu(READ_ONCE(p->vring.device->off_wrap)));
	} else {
		const struct vring *ring = &vq->split.vring;
		u64 desc = vq->split.queue_dma_addr;

		trace_virtqueue_state(&vq->vq, op, desc,
				      desc + ((void *)ring->avail - (void *)ring->desc),
				      desc + ((void *)ring->used - (void *)ring->desc),
				      virtio16_to_cpu(vdev, ring->avail->flags),
				      virtio16_to_cpu(vdev, ring->avail->idx),
				      virtio16_to_cpu(vdev, READ_ONCE(ring->used->flags)),
				      vring_read_split_used_idx(vq));
	}
}

static inline u64 vring_trace_bytes(struct scatterlist *sgs[], unsigned int first,
				    unsigned int count, bool premapped)
{
	struct scatterlist *sg;
	unsigned int n;
	u64 bytes = 0;

	for (n = first; n < first + count; n++)
		for (sg = sgs[n]; sg; sg = sg_next(sg))
			bytes += premapped ? sg_dma_len(sg) : sg->length;
	return bytes;
}

/* A split ring's descriptors are the driver's until the buffer is detached. */
static inline void vring_trace_table(const struct vring_virtqueue *vq, u16 head, u16 pos,
				     const struct vring_desc *table, u16 slot, u16 num)
{
	struct virtio_device *vdev = vq->vq.vdev;
	bool indirect = table != vq->split.vring.desc;
	u16 flags, next, n;

	for (n = 0; n < num && slot < num; n++) {
		const struct vring_desc *desc = &table[slot];

		flags = virtio16_to_cpu(vdev, desc->flags);
		next = virtio16_to_cpu(vdev, desc->next);
		trace_virtqueue_desc(&vq->vq, head, pos + n, indirect, slot,
				     virtio64_to_cpu(vdev, desc->addr),
				     virtio32_to_cpu(vdev, desc->len), flags, next);
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		slot = next;
	}
}

static inline void vring_trace_add(const struct vring_virtqueue *vq, struct scatterlist *sgs[],
				   unsigned int out_sgs, unsigned int in_sgs, bool premapped,
				   u16 head, u16 slots, u32 chain, bool indirect)
{
	u16 idx;

	if (trace_virtqueue_add_enabled()) {
		if (virtqueue_is_packed(vq))
			idx = vq->packed.next_avail_idx |
			      vq->packed.avail_wrap_counter << VRING_PACKED_EVENT_F_WRAP_CTR;
		else
			idx = vq->split.avail_idx_shadow;
		trace_virtqueue_add(&vq->vq, head, idx, slots, chain, indirect,
				    vring_trace_bytes(sgs, 0, out_sgs, premapped),
				    vring_trace_bytes(sgs, out_sgs, in_sgs, premapped));
	}
	if (trace_virtqueue_desc_enabled() && !virtqueue_is_packed(vq)) {
		vring_trace_table(vq, head, 0, vq->split.vring.desc, head, vq->split.vring.num);
		if (indirect)
			vring_trace_table(vq, head, 1, vq->split.desc_state[head].indir_desc, 0,
					  chain);
	}
}

static inline void vring_trace_used(const struct vring_virtqueue *vq, u16 index, u32 id, u32 len,
				    bool accepted)
{
	struct virtio_device *vdev = vq->vq.vdev;
	u16 slot = index & ~(1 << VRING_PACKED_EVENT_F_WRAP_CTR);

	if (!trace_virtqueue_used_enabled())
		return;
	if (virtqueue_is_packed(vq))
		trace_virtqueue_used(&vq->vq, index, id, len, index,
				     vring_read_packed_desc_flags(vq, slot),
				     le16_to_cpu(vq->packed.vring.driver->off_wrap),
				     le16_to_cpu(vq->packed.vring.driver->flags), accepted);
	else
		trace_virtqueue_used(&vq->vq, index, id, len, vring_read_split_used_idx(vq), 0,
				     virtio16_to_cpu(vdev, vring_used_event(&vq->split.vring)),
				     virtio16_to_cpu(vdev, vq->split.vring.avail->flags),
				     accepted);
}

/* @old may be below 0, in a packed ring: it is in the round before. */
static inline void vring_trace_kick(const struct vring_virtqueue *vq, u16 old, u16 new, u16 event,
				    u16 flags, bool needed)
{
	bool wrap;

	if (!trace_virtqueue_kick_enabled())
		return;
	if (virtqueue_is_packed(vq)) {
		wrap = vq->packed.avail_wrap_counter;
		new |= wrap << VRING_PACKED_EVENT_F_WRAP_CTR;
		if (old >= vq->packed.vring.num) {
			old += vq->packed.vring.num;
			wrap = !wrap;
		}
		old |= wrap << VRING_PACKED_EVENT_F_WRAP_CTR;
	} else {
		flags = virtio16_to_cpu(vq->vq.vdev, READ_ONCE(vq->split.vring.used->flags));
	}
	trace_virtqueue_kick(&vq->vq, old, new, event, flags, vq->event, needed);
}

static inline u16 vring_trace_used_idx(const struct vring_virtqueue *vq, bool more)
{
	return virtqueue_is_packed(vq) ? vq->last_used_idx + more : vring_read_split_used_idx(vq);
}

static inline void vring_trace_interrupt(const struct vring_virtqueue *vq)
{
	if (trace_virtqueue_interrupt_enabled())
		trace_virtqueue_interrupt(&vq->vq, vring_trace_used_idx(vq, true),
					  vq->last_used_idx);
}

static inline void vring_trace_callback(const struct vring_virtqueue *vq, bool enable, bool more)
{
	struct virtio_device *vdev = vq->vq.vdev;
	u16 used_idx = vring_trace_used_idx(vq, more);

	if (virtqueue_is_packed(vq))
		trace_virtqueue_callback(&vq->vq, le16_to_cpu(vq->packed.vring.driver->flags),
					 le16_to_cpu(vq->packed.vring.driver->off_wrap),
					 vq->last_used_idx, used_idx, vq->event, enable);
	else
		trace_virtqueue_callback(&vq->vq,
					 virtio16_to_cpu(vdev, vq->split.vring.avail->flags),
					 virtio16_to_cpu(vdev,
							 vring_used_event(&vq->split.vring)),
					 vq->last_used_idx, used_idx, vq->event, enable);
}

#endif /* _DRIVERS_VIRTIO_VIRTIO_RING_TRACE_H */
