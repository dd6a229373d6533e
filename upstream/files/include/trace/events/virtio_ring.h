/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a driver does to its virtqueues, and what it finds there.
 *
 * Positions are indices modulo 2^16 in a split ring. In a packed ring they are
 * a slot, with the wrap counter in bit 15.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM virtio_ring

#if !defined(_TRACE_VIRTIO_RING_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VIRTIO_RING_H

#include <linux/tracepoint.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#ifndef _TRACE_VIRTIO_RING_TYPES
#define _TRACE_VIRTIO_RING_TYPES

enum virtqueue_state {
	VIRTQUEUE_NEW,
	VIRTQUEUE_DELETE,
};

#endif

TRACE_DEFINE_ENUM(VIRTQUEUE_NEW);
TRACE_DEFINE_ENUM(VIRTQUEUE_DELETE);

/*
 * A virtqueue that was set up, or is about to be deleted.
 * @desc, @avail, @used: addresses of its areas; of a packed ring, of the descriptor ring and of
 *	the two event areas
 * @avail_flags, @avail_idx: flags and index of the available ring; packed: flags, and offset and
 *	wrap counter of the driver event area
 * @used_flags, @used_idx: those of the used ring, or of the device event area
 */
TRACE_EVENT(virtqueue_state,
	    TP_PROTO(const struct virtqueue *vq, enum virtqueue_state op, u64 desc, u64 avail,
		     u64 used, u16 avail_flags, u16 avail_idx, u16 used_flags, u16 used_idx),
	    TP_ARGS(vq, op, desc, avail, used, avail_flags, avail_idx, used_flags, used_idx),
	    TP_STRUCT__entry(__field(u64, desc)
			     __field(u64, avail)
			     __field(u64, used)
			     __field(u32, dev)
			     __field(u32, id)
			     __field(u32, size)
			     __field(u16, vq)
			     __field(u16, avail_flags)
			     __field(u16, avail_idx)
			     __field(u16, used_flags)
			     __field(u16, used_idx)
			     __field(u8, layout)
			     __field(u8, op)),
	    TP_fast_assign(__entry->desc = desc;
			   __entry->avail = avail;
			   __entry->used = used;
			   __entry->dev = vq->vdev->index;
			   __entry->id = vq->vdev->id.device;
			   __entry->size = virtqueue_get_vring_size(vq);
			   __entry->vq = vq->index;
			   __entry->avail_flags = avail_flags;
			   __entry->avail_idx = avail_idx;
			   __entry->used_flags = used_flags;
			   __entry->used_idx = used_idx;
			   __entry->layout = virtio_has_feature(vq->vdev, VIRTIO_F_RING_PACKED);
			   __entry->op = op;
	    ),
	    TP_printk("dev=%u id=%u vq=%u %s size=%u layout=%s desc=%#llx avail=%#llx used=%#llx avail_flags=%#x avail_idx=%u used_flags=%#x used_idx=%u",
		      __entry->dev, __entry->id, __entry->vq,
		      __print_symbolic(__entry->op, { VIRTQUEUE_NEW, "new" },
				       { VIRTQUEUE_DELETE, "delete" }),
		      __entry->size, __entry->layout ? "packed" : "split", __entry->desc,
		      __entry->avail, __entry->used, __entry->avail_flags,
		      __entry->avail_idx, __entry->used_flags, __entry->used_idx)
);

/*
 * @id: head of the chain, or buffer id in a packed ring
 * @avail_idx: available index with this buffer, or the next position
 * @slots: descriptors of the ring that it takes
 * @chain: its descriptors, those of an indirect table among them
 */
TRACE_EVENT(virtqueue_add,
	    TP_PROTO(const struct virtqueue *vq, u16 id, u16 avail_idx, u16 slots, u32 chain,
		     bool indirect, u64 readable, u64 writable),
	    TP_ARGS(vq, id, avail_idx, slots, chain, indirect, readable, writable),
	    TP_STRUCT__entry(__field(u64, readable)
			     __field(u64, writable)
			     __field(u32, dev)
			     __field(u32, chain)
			     __field(u32, num_free)
			     __field(u16, vq)
			     __field(u16, head)
			     __field(u16, avail_idx)
			     __field(u16, slots)
			     __field(u8, indirect)),
	    TP_fast_assign(__entry->readable = readable;
			   __entry->writable = writable;
			   __entry->dev = vq->vdev->index;
			   __entry->chain = chain;
			   __entry->num_free = vq->num_free;
			   __entry->vq = vq->index;
			   __entry->head = id;
			   __entry->avail_idx = avail_idx;
			   __entry->slots = slots;
			   __entry->indirect = indirect;
	    ),
	    TP_printk("dev=%u vq=%u head=%u avail_idx=%u slots=%u chain=%u indirect=%u readable=%llu writable=%llu num_free=%u",
		      __entry->dev, __entry->vq, __entry->head, __entry->avail_idx,
		      __entry->slots, __entry->chain, __entry->indirect, __entry->readable,
		      __entry->writable, __entry->num_free)
);

/*
 * A descriptor as it stands in a split ring, or in its indirect table.
 * @id: head of its chain
 * @pos: place in that
 */
TRACE_EVENT(virtqueue_desc,
	    TP_PROTO(const struct virtqueue *vq, u16 id, u16 pos, bool table, u16 slot,
		     u64 addr, u32 len, u16 flags, u16 next),
	    TP_ARGS(vq, id, pos, table, slot, addr, len, flags, next),
	    TP_STRUCT__entry(__field(u64, addr)
			     __field(u32, dev)
			     __field(u32, len)
			     __field(u16, vq)
			     __field(u16, head)
			     __field(u16, slot)
			     __field(u16, flags)
			     __field(u16, next)
			     __field(u16, pos)
			     __field(u8, table)),
	    TP_fast_assign(__entry->addr = addr;
			   __entry->dev = vq->vdev->index;
			   __entry->len = len;
			   __entry->vq = vq->index;
			   __entry->head = id;
			   __entry->slot = slot;
			   __entry->flags = flags;
			   __entry->next = next;
			   __entry->pos = pos;
			   __entry->table = table;
	    ),
	    TP_printk("dev=%u vq=%u head=%u pos=%u table=%u slot=%u addr=%#llx len=%u flags=%#x next=%u",
		      __entry->dev, __entry->vq, __entry->head, __entry->pos, __entry->table,
		      __entry->slot, __entry->addr, __entry->len, __entry->flags, __entry->next)
);

/*
 * A used entry that was taken, or refused.
 * @index: its position
 * @used_idx: the device's used index; packed: @index
 * @flags: packed: of the used descriptor
 * @event: used_event afterwards; packed: offset and wrap counter
 * @event_flags: flags of the available ring, or of the driver event area, afterwards
 */
TRACE_EVENT(virtqueue_used,
	    TP_PROTO(const struct virtqueue *vq, u16 index, u32 id, u32 len, u16 used_idx,
		     u16 flags, u16 event, u16 event_flags, bool accepted),
	    TP_ARGS(vq, index, id, len, used_idx, flags, event, event_flags, accepted),
	    TP_STRUCT__entry(__field(u32, dev)
			     __field(u32, id)
			     __field(u32, len)
			     __field(u16, vq)
			     __field(u16, index)
			     __field(u16, used_idx)
			     __field(u16, flags)
			     __field(u16, event)
			     __field(u16, event_flags)
			     __field(u8, accepted)),
	    TP_fast_assign(__entry->dev = vq->vdev->index;
			   __entry->id = id;
			   __entry->len = len;
			   __entry->vq = vq->index;
			   __entry->index = index;
			   __entry->used_idx = used_idx;
			   __entry->flags = flags;
			   __entry->event = event;
			   __entry->event_flags = event_flags;
			   __entry->accepted = accepted;
	    ),
	    TP_printk("dev=%u vq=%u index=%u id=%u len=%u used_idx=%u flags=%#x event=%u event_flags=%#x%s",
		      __entry->dev, __entry->vq, __entry->index, __entry->id, __entry->len,
		      __entry->used_idx, __entry->flags, __entry->event, __entry->event_flags,
		      __entry->accepted ? "" : " refused")
);

/*
 * A decision whether to notify the device.
 * @old, @new: available position at the decision before, and at this one
 * @event: what it was made of: avail_event with EVENT_IDX, else the used ring's flags;
 *	packed: offset and wrap counter of the device event area
 * @flags: of the used ring, or of the device event area
 */
TRACE_EVENT(virtqueue_kick,
	    TP_PROTO(const struct virtqueue *vq, u16 old, u16 new, u16 event, u16 flags,
		     bool event_idx, bool needed),
	    TP_ARGS(vq, old, new, event, flags, event_idx, needed),
	    TP_STRUCT__entry(__field(u32, dev)
			     __field(u16, vq)
			     __field(u16, old)
			     __field(u16, new)
			     __field(u16, event)
			     __field(u16, flags)
			     __field(u8, event_idx)
			     __field(u8, needed)),
	    TP_fast_assign(__entry->dev = vq->vdev->index;
			   __entry->vq = vq->index;
			   __entry->old = old;
			   __entry->new = new;
			   __entry->event = event;
			   __entry->flags = flags;
			   __entry->event_idx = event_idx;
			   __entry->needed = needed;
	    ),
	    TP_printk("dev=%u vq=%u old=%u new=%u event_idx=%u event=%u flags=%#x needed=%u",
		      __entry->dev, __entry->vq, __entry->old, __entry->new,
		      __entry->event_idx, __entry->event, __entry->flags, __entry->needed)
);

/* Right before the device is notified. */
TRACE_EVENT(virtqueue_notify,
	    TP_PROTO(const struct virtqueue *vq),
	    TP_ARGS(vq),
	    TP_STRUCT__entry(__field(u32, dev)
			     __field(u16, vq)),
	    TP_fast_assign(__entry->dev = vq->vdev->index;
			   __entry->vq = vq->index;
	    ),
	    TP_printk("dev=%u vq=%u", __entry->dev, __entry->vq)
);

/* Right before the driver's callback. */
TRACE_EVENT(virtqueue_interrupt,
	    TP_PROTO(const struct virtqueue *vq, u16 used_idx, u16 last_used),
	    TP_ARGS(vq, used_idx, last_used),
	    TP_STRUCT__entry(__field(u32, dev)
			     __field(u16, vq)
			     __field(u16, used_idx)
			     __field(u16, last_used)),
	    TP_fast_assign(__entry->dev = vq->vdev->index;
			   __entry->vq = vq->index;
			   __entry->used_idx = used_idx;
			   __entry->last_used = last_used;
	    ),
	    TP_printk("dev=%u vq=%u used_idx=%u last_used=%u", __entry->dev, __entry->vq,
		      __entry->used_idx, __entry->last_used)
);

/*
 * Interrupts were enabled or disabled.
 * @avail_flags: flags of the available ring, or of the driver event area
 * @used_event: used_event, or offset and wrap counter of that area
 * @last_used: position of the next used entry to be taken
 * @used_idx: the device's used index; packed: @last_used, one more if an entry is there
 */
TRACE_EVENT(virtqueue_callback,
	    TP_PROTO(const struct virtqueue *vq, u16 avail_flags, u16 used_event, u16 last_used,
		     u16 used_idx, bool event_idx, bool enable),
	    TP_ARGS(vq, avail_flags, used_event, last_used, used_idx, event_idx, enable),
	    TP_STRUCT__entry(__field(u32, dev)
			     __field(u16, vq)
			     __field(u16, avail_flags)
			     __field(u16, used_event)
			     __field(u16, last_used)
			     __field(u16, used_idx)
			     __field(u8, event_idx)
			     __field(u8, enable)
			     __field(u8, pending)),
	    TP_fast_assign(__entry->dev = vq->vdev->index;
			   __entry->vq = vq->index;
			   __entry->avail_flags = avail_flags;
			   __entry->used_event = used_event;
			   __entry->last_used = last_used;
			   __entry->used_idx = used_idx;
			   __entry->event_idx = event_idx;
			   __entry->enable = enable;
			   __entry->pending = used_idx != last_used;
	    ),
	    TP_printk("dev=%u vq=%u %s event_idx=%u avail_flags=%#x used_event=%u last_used=%u used_idx=%u",
		      __entry->dev, __entry->vq, __entry->enable ? "enable" : "disable",
		      __entry->event_idx, __entry->avail_flags, __entry->used_event,
		      __entry->last_used, __entry->used_idx)
);

#endif /* _TRACE_VIRTIO_RING_H */

#include <trace/define_trace.h>
