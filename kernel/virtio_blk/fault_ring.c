// SPDX-License-Identifier: GPL-2.0-only
/*
 * What goes wrong in ring memory.
 *
 * The damage is traced, then repaired, all before DRIVER_OK; but for flags that
 * tell the device nothing it would act upon.
 */
#include "pykit_blk.h"

/* Parts of the driver's own request. */
enum part {
	HEADER,
	DATA,
	STATUS,
	PARTS,
};

#define FLAG(bit)	BIT(bit)
#define WRAP_FLAGS	(FLAG(VRING_PACKED_DESC_F_AVAIL) | FLAG(VRING_PACKED_DESC_F_USED))

/**
 * struct spot - where a descriptor is, of either layout
 * @addr: its address
 * @len: its length
 * @flags: its flags
 * @next: its link, NULL in a packed ring
 */
struct spot {
	__le64 *addr;
	__le32 *len;
	__le16 *flags;
	__le16 *next;
};

static void pykit_blk_patch(struct pykit_blk_vq *q, void *at, u64 value, size_t bytes)
{
	struct pykit_blk_fault_patch *patch = &q->fault.patches[q->fault.num_patches];
	__le64 raw = cpu_to_le64(value);

	if (WARN_ON_ONCE(q->fault.num_patches == PYKIT_BLK_FAULT_PATCHES || !at))
		return;
	*patch = (struct pykit_blk_fault_patch) { .at = at, .bytes = bytes };
	memcpy(&patch->old, at, bytes);
	memcpy(at, &raw, bytes);
	q->fault.num_patches++;
}

static void pykit_blk_patch16(struct pykit_blk_vq *q, __le16 *at, u16 value)
{
	pykit_blk_patch(q, at, value, sizeof(*at));
}

static void pykit_blk_patch32(struct pykit_blk_vq *q, __le32 *at, u32 value)
{
	pykit_blk_patch(q, at, value, sizeof(*at));
}

/**
 * pykit_blk_fault_repair() - put everything back, the last damage first
 * @q: the queue, locked, or not in use yet
 */
void pykit_blk_fault_repair(struct pykit_blk_vq *q)
{
	while (q->fault.num_patches) {
		struct pykit_blk_fault_patch *patch =
			&q->fault.patches[--q->fault.num_patches];

		memcpy(patch->at, &patch->old, patch->bytes);
	}
}

/* Rings of the modern interface are little-endian. */
static __le16 *pykit_blk_avail_idx(struct pykit_blk_vq *q)
{
	return (__force __le16 *)&q->ring.split->avail->idx;
}

static __le16 *pykit_blk_avail_entry(struct pykit_blk_vq *q)
{
	u16 slot = q->ring.next_avail & (q->ring.size - 1);

	return (__force __le16 *)&q->ring.split->avail->ring[slot];
}

static struct spot pykit_blk_split_spot(struct vring_desc *desc)
{
	return (struct spot) {
		.addr = (__force __le64 *)&desc->addr,
		.len = (__force __le32 *)&desc->len,
		.flags = (__force __le16 *)&desc->flags,
		.next = (__force __le16 *)&desc->next,
	};
}

static struct spot pykit_blk_packed_spot(struct vring_packed_desc *desc)
{
	return (struct spot) {
		.addr = &desc->addr,
		.len = &desc->len,
		.flags = &desc->flags,
	};
}

/* Ring descriptor @pos of the chain that was made available last. */
static struct spot pykit_blk_ring_spot(struct pykit_blk_vq *q, unsigned int pos)
{
	u16 slot;

	if (q->ring.is_packed) {
		slot = pykit_ring_advance(&q->ring, q->ring.next_avail, pos);
		return pykit_blk_packed_spot(&q->ring.packed[slot & ~PYKIT_WRAP]);
	}
	slot = le16_to_cpu(*pykit_blk_avail_entry(q));
	while (pos--)
		slot = virtio16_to_cpu(q->vq->vdev, q->ring.split->desc[slot].next);
	return pykit_blk_split_spot(&q->ring.split->desc[slot]);
}

static bool pykit_blk_is_table(struct spot spot)
{
	return le16_to_cpu(*spot.flags) & VRING_DESC_F_INDIRECT;
}

/* A part of the request: in the ring, or in its indirect table. */
static struct spot pykit_blk_spot(struct pykit_blk_vq *q, enum part part)
{
	struct spot first = pykit_blk_ring_spot(q, 0);
	void *table;

	if (!pykit_blk_is_table(first))
		return pykit_blk_ring_spot(q, part);
	/* The core wrote its address. */
	table = pykit_ring_memory(q->vq->vdev, le64_to_cpu(*first.addr));
	return q->ring.is_packed ?
	       pykit_blk_packed_spot((struct vring_packed_desc *)table + part) :
	       pykit_blk_split_spot((struct vring_desc *)table + part);
}

static void pykit_blk_set_flags(struct pykit_blk_vq *q, struct spot spot, u16 set, u16 clear)
{
	pykit_blk_patch16(q, spot.flags, (le16_to_cpu(*spot.flags) & ~clear) | set);
}

/* Exchange two parts, but for where they lead. */
static void pykit_blk_swap(struct pykit_blk_vq *q, enum part a, enum part b)
{
	struct spot x = pykit_blk_spot(q, a), y = pykit_blk_spot(q, b);
	u16 write = (le16_to_cpu(*x.flags) ^ le16_to_cpu(*y.flags)) & VRING_DESC_F_WRITE;
	u64 addr = le64_to_cpu(*x.addr);
	u32 len = le32_to_cpu(*x.len);

	pykit_blk_patch(q, x.addr, le64_to_cpu(*y.addr), sizeof(*x.addr));
	pykit_blk_patch32(q, x.len, le32_to_cpu(*y.len));
	pykit_blk_patch16(q, x.flags, le16_to_cpu(*x.flags) ^ write);
	pykit_blk_patch(q, y.addr, addr, sizeof(*y.addr));
	pykit_blk_patch32(q, y.len, len);
	pykit_blk_patch16(q, y.flags, le16_to_cpu(*y.flags) ^ write);
}

/**
 * pykit_blk_fault_used_flags() - leave flags of the used ring set
 * @q: the queue
 */
void pykit_blk_fault_used_flags(struct pykit_blk_vq *q)
{
	if (!q->ring.is_packed)
		pykit_blk_patch16(q, (__force __le16 *)&q->ring.split->used->flags, 1);
}

/**
 * pykit_blk_fault_indices() - start with another index than 0
 * @q: the queue
 */
void pykit_blk_fault_indices(struct pykit_blk_vq *q)
{
	if (!q->ring.is_packed)
		pykit_blk_patch16(q, pykit_blk_avail_idx(q), 5);
}

/**
 * pykit_blk_fault_loop() - the last descriptor leads to itself
 * @q: the queue, locked
 */
void pykit_blk_fault_loop(struct pykit_blk_vq *q)
{
	struct spot data = pykit_blk_spot(q, DATA), last = pykit_blk_spot(q, STATUS);

	pykit_blk_patch16(q, last.next, le16_to_cpu(*data.next));
	pykit_blk_set_flags(q, last, VRING_DESC_F_NEXT, 0);
}

/**
 * pykit_blk_fault_next_outside() - a descriptor leads out of the table
 * @q: the queue, locked
 */
void pykit_blk_fault_next_outside(struct pykit_blk_vq *q)
{
	pykit_blk_patch16(q, pykit_blk_spot(q, DATA).next, q->ring.size);
}

/**
 * pykit_blk_fault_head_outside() - the available entry names no descriptor
 * @q: the queue, locked
 */
void pykit_blk_fault_head_outside(struct pykit_blk_vq *q)
{
	pykit_blk_patch16(q, pykit_blk_avail_entry(q), q->ring.size);
}

/**
 * pykit_blk_fault_head_lost() - the entry of the chain that was added last names no descriptor
 * @q: the queue, locked, before the device is notified of that chain
 *
 * That stays so.
 */
void pykit_blk_fault_head_lost(struct pykit_blk_vq *q)
{
	u16 slot = (q->ring.next_avail - 1) & (q->ring.size - 1);

	q->ring.split->avail->ring[slot] = cpu_to_virtio16(q->vq->vdev, q->ring.size);
}

/**
 * pykit_blk_fault_head_reuse() - make the first request's head available again
 * @q: the queue, locked
 *
 * That stays so: the second request has the same buffers.
 */
void pykit_blk_fault_head_reuse(struct pykit_blk_vq *q)
{
	__le16 *entry = pykit_blk_avail_entry(q);

	q->fault.head = le16_to_cpu(*entry);
	*entry = cpu_to_le16(q->fault.rqs[0]->head);
}

/**
 * pykit_blk_fault_shared() - the second chain ends in a descriptor of the first
 * @q: the queue, locked
 */
void pykit_blk_fault_shared(struct pykit_blk_vq *q)
{
	struct vring_desc *first = &q->ring.split->desc[q->fault.rqs[0]->head];
	struct vring_desc *data =
		&q->ring.split->desc[virtio16_to_cpu(q->vq->vdev, first->next)];

	pykit_blk_patch16(q, pykit_blk_spot(q, DATA).next,
			  virtio16_to_cpu(q->vq->vdev, data->next));
}

static void pykit_blk_move_idx(struct pykit_blk_vq *q, int by)
{
	__le16 *idx = pykit_blk_avail_idx(q);

	pykit_blk_patch16(q, idx, le16_to_cpu(*idx) + by);
}

/**
 * pykit_blk_fault_idx_step() - move the available index by two
 * @q: the queue, locked
 */
void pykit_blk_fault_idx_step(struct pykit_blk_vq *q)
{
	pykit_blk_move_idx(q, 1);
}

/**
 * pykit_blk_fault_idx_back() - move the available index back
 * @q: the queue, locked
 */
void pykit_blk_fault_idx_back(struct pykit_blk_vq *q)
{
	pykit_blk_move_idx(q, -2);
}

/**
 * pykit_blk_fault_idx_far() - move the available index by more than the ring has
 * @q: the queue, locked
 */
void pykit_blk_fault_idx_far(struct pykit_blk_vq *q)
{
	pykit_blk_move_idx(q, q->ring.size);
}

/**
 * pykit_blk_fault_header_short() - let the device read half a header
 * @q: the queue, locked
 */
void pykit_blk_fault_header_short(struct pykit_blk_vq *q)
{
	pykit_blk_patch32(q, pykit_blk_spot(q, HEADER).len,
			  sizeof(struct virtio_blk_outhdr) / 2);
}

/**
 * pykit_blk_fault_header_long() - let the device read more than a header
 * @q: the queue, locked
 */
void pykit_blk_fault_header_long(struct pykit_blk_vq *q)
{
	pykit_blk_patch32(q, pykit_blk_spot(q, HEADER).len,
			  sizeof(struct virtio_blk_outhdr) + 8);
}

/**
 * pykit_blk_fault_header_writable() - let the device write the header
 * @q: the queue, locked
 */
void pykit_blk_fault_header_writable(struct pykit_blk_vq *q)
{
	pykit_blk_set_flags(q, pykit_blk_spot(q, HEADER), VRING_DESC_F_WRITE, 0);
}

/**
 * pykit_blk_fault_data_empty() - give the serial number no room
 * @q: the queue, locked
 */
void pykit_blk_fault_data_empty(struct pykit_blk_vq *q)
{
	pykit_blk_patch32(q, pykit_blk_spot(q, DATA).len, 0);
}

/**
 * pykit_blk_fault_status_not_last() - put the status before the data
 * @q: the queue, locked
 */
void pykit_blk_fault_status_not_last(struct pykit_blk_vq *q)
{
	pykit_blk_swap(q, DATA, STATUS);
}

/**
 * pykit_blk_fault_status_missing() - give the status no byte
 * @q: the queue, locked
 */
void pykit_blk_fault_status_missing(struct pykit_blk_vq *q)
{
	pykit_blk_patch32(q, pykit_blk_spot(q, STATUS).len, 0);
}

/**
 * pykit_blk_fault_status_readable() - let the device read the status
 * @q: the queue, locked
 */
void pykit_blk_fault_status_readable(struct pykit_blk_vq *q)
{
	pykit_blk_set_flags(q, pykit_blk_spot(q, STATUS), 0, VRING_DESC_F_WRITE);
}

/**
 * pykit_blk_fault_write_first() - put the data before the header
 * @q: the queue, locked
 */
void pykit_blk_fault_write_first(struct pykit_blk_vq *q)
{
	pykit_blk_swap(q, HEADER, DATA);
}

/**
 * pykit_blk_fault_status_in_data() - have the status written into the data
 * @q: the queue, locked
 */
void pykit_blk_fault_status_in_data(struct pykit_blk_vq *q)
{
	struct spot data = pykit_blk_spot(q, DATA), status = pykit_blk_spot(q, STATUS);

	pykit_blk_patch(q, status.addr, le64_to_cpu(*data.addr), sizeof(*status.addr));
}

/**
 * pykit_blk_fault_data_in_ring() - have data written into the device area of the queue
 * @q: the queue, locked
 */
void pykit_blk_fault_data_in_ring(struct pykit_blk_vq *q)
{
	struct spot data = pykit_blk_spot(q, DATA);

	pykit_blk_patch(q, data.addr, virtqueue_get_used_addr(q->vq), sizeof(*data.addr));
}

/**
 * pykit_blk_fault_flag_undefined() - set a flag of a descriptor that nothing defines
 * @q: the queue, locked
 */
void pykit_blk_fault_flag_undefined(struct pykit_blk_vq *q)
{
	pykit_blk_set_flags(q, pykit_blk_spot(q, HEADER), FLAG(3), 0);
}

/**
 * pykit_blk_fault_nothing() - leave a chain as it is
 * @q: the queue, locked
 *
 * The request is one that the device has already, in other descriptors.
 */
void pykit_blk_fault_nothing(struct pykit_blk_vq *q)
{
}

/**
 * pykit_blk_fault_too_long() - make the data 4 GiB less one byte
 * @q: the queue, locked
 */
void pykit_blk_fault_too_long(struct pykit_blk_vq *q)
{
	pykit_blk_patch32(q, pykit_blk_spot(q, DATA).len, U32_MAX);
}

/**
 * pykit_blk_fault_no_table() - call a buffer an indirect table, which nobody agreed to
 * @q: the queue, locked, without INDIRECT_DESC
 */
void pykit_blk_fault_no_table(struct pykit_blk_vq *q)
{
	pykit_blk_set_flags(q, pykit_blk_spot(q, STATUS), VRING_DESC_F_INDIRECT, 0);
}

static void pykit_blk_table_length(struct pykit_blk_vq *q, u32 len)
{
	struct spot first = pykit_blk_ring_spot(q, 0);

	if (pykit_blk_is_table(first))
		pykit_blk_patch32(q, first.len, len);
}

/**
 * pykit_blk_fault_table_odd() - cut an indirect table within an entry
 * @q: the queue, locked
 */
void pykit_blk_fault_table_odd(struct pykit_blk_vq *q)
{
	pykit_blk_table_length(q, PARTS * sizeof(struct vring_desc) + 8);
}

/**
 * pykit_blk_fault_table_empty() - give an indirect table no length
 * @q: the queue, locked
 */
void pykit_blk_fault_table_empty(struct pykit_blk_vq *q)
{
	pykit_blk_table_length(q, 0);
}

/**
 * pykit_blk_fault_table_linked() - go on behind an indirect table
 * @q: the queue, locked
 */
void pykit_blk_fault_table_linked(struct pykit_blk_vq *q)
{
	struct spot first = pykit_blk_ring_spot(q, 0);

	if (pykit_blk_is_table(first))
		pykit_blk_set_flags(q, first, VRING_DESC_F_NEXT, 0);
}

/**
 * pykit_blk_fault_table_nested() - call an entry of a table a table
 * @q: the queue, locked
 */
void pykit_blk_fault_table_nested(struct pykit_blk_vq *q)
{
	if (pykit_blk_is_table(pykit_blk_ring_spot(q, 0)))
		pykit_blk_set_flags(q, pykit_blk_spot(q, STATUS), VRING_DESC_F_INDIRECT, 0);
}

/**
 * pykit_blk_fault_table_left() - an entry of a table leads out of it
 * @q: the queue, locked
 */
void pykit_blk_fault_table_left(struct pykit_blk_vq *q)
{
	if (pykit_blk_is_table(pykit_blk_ring_spot(q, 0)))
		pykit_blk_patch16(q, pykit_blk_spot(q, DATA).next, PARTS);
}

/**
 * pykit_blk_fault_wrap() - mark a descriptor for the next round of the ring
 * @q: the queue, locked
 */
void pykit_blk_fault_wrap(struct pykit_blk_vq *q)
{
	struct spot first = pykit_blk_ring_spot(q, 0);

	pykit_blk_patch16(q, first.flags, le16_to_cpu(*first.flags) ^ WRAP_FLAGS);
}

/**
 * pykit_blk_fault_not_linked() - leave a link of a list out
 * @q: the queue, locked
 */
void pykit_blk_fault_not_linked(struct pykit_blk_vq *q)
{
	pykit_blk_set_flags(q, pykit_blk_spot(q, HEADER), 0, VRING_DESC_F_NEXT);
}

/**
 * pykit_blk_fault_avail_flags() - set a flag that is not defined
 * @q: the queue, locked, or not in use yet
 *
 * It stays set: the device looks at the other one only.
 */
void pykit_blk_fault_avail_flags(struct pykit_blk_vq *q)
{
	if (!q->ring.is_packed)
		q->ring.split->avail->flags |= cpu_to_virtio16(q->vq->vdev, BIT(1));
}

/**
 * pykit_blk_fault_event_flags() - write a value that is reserved
 * @q: the queue, locked
 *
 * Where interrupts are asked for by an index, or not at all: what a device takes it
 * for, one too many does no harm.
 */
void pykit_blk_fault_event_flags(struct pykit_blk_vq *q)
{
	__le16 *flags = &q->ring.driver->flags;

	if (le16_to_cpu(*flags) != VRING_PACKED_EVENT_FLAG_ENABLE)
		*flags = cpu_to_le16(VRING_PACKED_EVENT_FLAG_DISABLE |
				     VRING_PACKED_EVENT_FLAG_DESC);
}
