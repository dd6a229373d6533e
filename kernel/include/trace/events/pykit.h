/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two sides of a virtqueue do, as trace events of the system "pykit".
 *
 * Events hold fixed-width scalars only. Those that concern a queue carry a
 * sequence number of that queue, so that their order is exact and a lost event
 * leaves a gap; emit them through pykit_trace_vq(), which does the numbering.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pykit

#if !defined(_TRACE_PYKIT_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PYKIT_H

#include <linux/atomic.h>
#include <linux/tracepoint.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#ifndef _PYKIT_TRACE_TYPES
#define _PYKIT_TRACE_TYPES

/**
 * enum pykit_by - source of the events of a driver
 * @PYKIT_BY_DRIVER: the driver itself
 * @PYKIT_BY_PROBE: the probe, which looks on
 */
enum pykit_by {
	PYKIT_BY_DRIVER,
	PYKIT_BY_PROBE,
};

/**
 * enum pykit_stage - stages of a driver's binding to a device
 * @PYKIT_STAGE_BEGIN: the driver was called for a device
 * @PYKIT_STAGE_PROBED: it drives the device
 * @PYKIT_STAGE_FAILED: it does not
 * @PYKIT_STAGE_REMOVE: it is asked to let go
 * @PYKIT_STAGE_REMOVED: it has
 * @PYKIT_STAGE_FREEZE: the machine is to be suspended
 * @PYKIT_STAGE_RESTORE: it was resumed
 * @PYKIT_STAGE_JOINED: it drove the device when its observer came
 */
enum pykit_stage {
	PYKIT_STAGE_BEGIN,
	PYKIT_STAGE_PROBED,
	PYKIT_STAGE_FAILED,
	PYKIT_STAGE_REMOVE,
	PYKIT_STAGE_REMOVED,
	PYKIT_STAGE_FREEZE,
	PYKIT_STAGE_RESTORE,
	PYKIT_STAGE_JOINED,
};

/**
 * enum pykit_negotiation - stages of feature negotiation
 * @PYKIT_OFFERED: the core has intersected offer and driver
 * @PYKIT_FINALIZED: they were written again
 * @PYKIT_FROZEN: as the driver's probe() finds them
 */
enum pykit_negotiation {
	PYKIT_OFFERED,
	PYKIT_FINALIZED,
	PYKIT_FROZEN,
};

/**
 * enum pykit_status_op - what was done to a device's status
 * @PYKIT_STATUS_WRITE: it was written
 * @PYKIT_STATUS_READ: it was read
 * @PYKIT_STATUS_RESET: the device was reset
 */
enum pykit_status_op {
	PYKIT_STATUS_WRITE,
	PYKIT_STATUS_READ,
	PYKIT_STATUS_RESET,
};

/**
 * struct pykit_vq_id - a virtqueue as its trace events name it
 * @dev: index of the virtio device, or number of the vhost instance
 * @vq: index of the queue in its device
 * @by: one of &enum pykit_by; vhost back-ends leave it alone
 * @seq: sequence number of the last event of this queue
 */
struct pykit_vq_id {
	u32 dev;
	u16 vq;
	u8 by;
	atomic_t seq;
};

/**
 * enum pykit_queue_op - what becomes of a virtqueue
 * @PYKIT_QUEUE_SET_UP: it was set up
 * @PYKIT_QUEUE_DELETED: it is about to be deleted
 * @PYKIT_QUEUE_JOINED: it was set up before, its observer came later
 * @PYKIT_QUEUE_LEFT: it lives on, its observer goes
 * @PYKIT_QUEUE_BROKEN: it is about to be declared broken: nothing works any more
 * @PYKIT_QUEUE_UNBROKEN: that is about to be revoked
 */
enum pykit_queue_op {
	PYKIT_QUEUE_SET_UP,
	PYKIT_QUEUE_DELETED,
	PYKIT_QUEUE_JOINED,
	PYKIT_QUEUE_LEFT,
	PYKIT_QUEUE_BROKEN,
	PYKIT_QUEUE_UNBROKEN,
};

/**
 * struct pykit_queue_state - a virtqueue when something becomes of it
 * @desc: address of the descriptor table, or of the packed ring
 * @avail: address of the available ring, or of the driver event area
 * @used: address of the used ring, or of the device event area
 * @size: number of descriptors
 * @num_queues: how many queues the driver uses
 * @avail_flags: flags of the available ring or of the driver event area
 * @avail_idx: idx of the available ring, or the driver's event offset and wrap
 * @used_flags: flags of the used ring or of the device event area
 * @used_idx: idx of the used ring, or the device's event offset and wrap
 * @layout: 0 split, 1 packed
 * @op: one of &enum pykit_queue_op
 */
struct pykit_queue_state {
	u64 desc;
	u64 avail;
	u64 used;
	u32 size;
	u16 num_queues;
	u16 avail_flags;
	u16 avail_idx;
	u16 used_flags;
	u16 used_idx;
	u8 layout;
	u8 op;
};

/* Head of a chain whose buffer id is not known: no ring has so many. */
#define PYKIT_HEAD_UNKNOWN	0xffff

/* Each descriptor of a chain is that of its buffer: no chain is so long. */
#define PYKIT_DIFFERS_NONE	0xffff

/* Place in its chain of a descriptor that was used out of turn: of no chain. */
#define PYKIT_POS_STRAY		0xffff

/**
 * struct pykit_chain - a descriptor chain that was made available
 * @before: when it was certain not to be available yet (ktime_get_mono_fast_ns();
 *	0: not noted)
 * @readable: bytes the device may read
 * @writable: bytes the device may write
 * @chain: descriptors, without the one that points at an indirect table
 * @num_free: free ring descriptors afterwards
 * @head: head of the chain, or buffer id in a packed ring; PYKIT_HEAD_UNKNOWN if
 *	the device has overwritten the latter
 * @avail_idx: idx of the available ring afterwards, or next slot and wrap
 *	counter (bit 15) of a packed ring
 * @slots: ring descriptors it takes
 * @used_idx: idx of the used ring before, or next slot to be taken, plus one if that is
 *	filled (and wrap counter), of a packed ring
 * @differs: the first descriptor, from 1, without the address, length or direction of
 *	the buffer that the core was given; PYKIT_DIFFERS_NONE; 0: not compared
 * @indirect: whether it is an indirect table
 */
struct pykit_chain {
	u64 before;
	u64 readable;
	u64 writable;
	u32 chain;
	u32 num_free;
	u16 head;
	u16 avail_idx;
	u16 slots;
	u16 used_idx;
	u16 differs;
	u8 indirect;
};

/**
 * struct pykit_desc - a descriptor as it stands in memory
 * @addr: address of the buffer or of the indirect table
 * @len: its length in bytes
 * @slot: index in its table
 * @flags: flags, in a packed ring with the AVAIL and USED bits
 * @next: next slot; in a packed ring and its tables the buffer id
 * @pos: position along the walk
 * @table: 0 the ring, 1 an indirect table
 */
struct pykit_desc {
	u64 addr;
	u32 len;
	u16 slot;
	u16 flags;
	u16 next;
	u16 pos;
	u8 table;
};

/**
 * struct pykit_add_failure - an add that failed
 * @err: its error
 * @chain: descriptors, without the one that points at an indirect table
 * @num_free: free ring descriptors
 * @slots: ring descriptors that it takes, one if an indirect table will do
 * @old: as &struct pykit_kick has it, if there were a decision now
 * @new: likewise
 * @event: what the device asked for before, as &struct pykit_kick has it
 * @event_after: the same afterwards: by then it may know of the doorbell
 * @flags: the flags before
 * @flags_after: the flags afterwards
 * @event_idx: whether EVENT_IDX was negotiated
 * @notified: whether the core notified the device in it
 */
struct pykit_add_failure {
	s32 err;
	u32 chain;
	u32 num_free;
	u16 slots;
	u16 old;
	u16 new;
	u16 event;
	u16 event_after;
	u16 flags;
	u16 flags_after;
	u8 event_idx;
	u8 notified;
};

/**
 * struct pykit_kick - a decision whether to notify the device
 * @old: available index at the previous decision
 * @new: available index now
 * @event: before the decision: avail_event with EVENT_IDX, else the used
 *	ring's flags; packed: offset and wrap counter of the device event area
 * @event_after: the same after the decision
 * @flags: flags of the used ring or of the device event area, before
 * @flags_after: the same after the decision
 * @event_idx: whether EVENT_IDX was negotiated
 * @needed: the decision
 */
struct pykit_kick {
	u16 old;
	u16 new;
	u16 event;
	u16 event_after;
	u16 flags;
	u16 flags_after;
	u8 event_idx;
	u8 needed;
};

/**
 * enum pykit_taken - what became of a used entry
 * @PYKIT_REFUSED: the core did not know its id
 * @PYKIT_ACCEPTED: it took the entry
 * @PYKIT_UNSTEADY: the core refused what it read, and the entry does not stay as it is
 */
enum pykit_taken {
	PYKIT_REFUSED,
	PYKIT_ACCEPTED,
	PYKIT_UNSTEADY,
};

/**
 * struct pykit_used - a used entry and what became of it
 * @id: id as it stands in memory
 * @len: len as it stands in memory
 * @index: position in the used ring (packed: slot, wrap counter in bit 15)
 * @used_idx: the device's idx when the entry was read (packed: as @index)
 * @flags: packed: flags as they stand in memory
 * @event: used_event, or the driver's event offset and wrap counter, afterwards
 * @event_flags: flags of the available ring or of the driver event area, afterwards
 * @accepted: whether the core knew the id, see enum pykit_taken
 */
struct pykit_used {
	u32 id;
	u32 len;
	u16 index;
	u16 used_idx;
	u16 flags;
	u16 event;
	u16 event_flags;
	u8 accepted;
};

/**
 * struct pykit_compared - what a chain that was returned and the driver's own area became
 * @id: id of its used entry, read again before the next chain is made available
 * @len: len of that entry, likewise
 * @index: position of that entry, as of struct pykit_used
 * @head: head or buffer id of the chain
 * @changed: split: 1 if its descriptors are not what they were when it was added
 * @driver_area: what of it is not as the driver left it: 1 the chain's entry in the
 *	available ring, 2 the available index, 4 what suppresses interrupts
 * @slot: the first descriptor that @between is about
 * @header: block devices: 1 if the request's header is what it was before the chain was
 *	added, 2 if not, 0 if it was not compared
 * @behind: the same of the bytes behind the chain's last buffer
 * @table: packed: the same of its indirect table
 * @between: 1 if the ring was compared between the driver's operations since the last
 *	such event; of what was altered meanwhile, and is not the device's: 2 descriptors,
 *	4 the driver area; 8 if the used entry was altered while the driver took it
 */
struct pykit_compared {
	u32 id;
	u32 len;
	u16 index;
	u16 head;
	u16 changed;
	u16 driver_area;
	u16 slot;
	u8 header;
	u8 behind;
	u8 table;
	u8 between;
};

/**
 * struct pykit_callback - used buffer notifications enabled or disabled
 * @avail_flags: flags of the available ring or of the driver event area
 * @used_event: used_event, or the driver's event offset and wrap counter
 * @last_used: position of the next used entry to be taken
 * @used_idx: the device's idx, read afterwards (packed: @last_used, plus one if
 *	that slot is filled)
 * @event_idx: whether EVENT_IDX was negotiated
 * @enable: whether they were enabled
 * @pending: whether there is more to take already
 */
struct pykit_callback {
	u16 avail_flags;
	u16 used_event;
	u16 last_used;
	u16 used_idx;
	u8 event_idx;
	u8 enable;
	u8 pending;
};

/**
 * struct pykit_blk - a block request
 * @sector: first sector
 * @status_addr: where the driver looks for the status byte, as the device
 *	addresses it
 * @bytes: bytes of data
 * @type: request type
 * @head: head of its descriptor chain
 * @segments: number of ranges of a discard or write-zeroes request
 */
struct pykit_blk {
	u64 sector;
	u64 status_addr;
	u64 bytes;
	u32 type;
	u16 head;
	u16 segments;
};

/**
 * struct pykit_blk_end - the end of a block request
 * @sector: first sector
 * @type: request type
 * @len: bytes written, as the used entry says
 * @head: head of its descriptor chain
 * @status: status byte
 */
struct pykit_blk_end {
	u64 sector;
	u32 type;
	u32 len;
	u16 head;
	u8 status;
};

/**
 * struct pykit_blk_passed - a request whose used entry leaves out bytes that the device may
 *	write, and what the block layer got of it from its driver
 * @passed: bytes that the driver ended
 * @type: request type
 * @len: bytes written, as the used entry says
 * @head: head of its descriptor chain
 * @error: whether the driver ended them with an error
 */
struct pykit_blk_passed {
	u64 passed;
	u32 type;
	u32 len;
	u16 head;
	u8 error;
};

/**
 * struct pykit_blk_answer - the begin of what a block device answered
 * @value: up to 24 bytes as they stand in memory, 0 where there are fewer
 * @type: request type
 * @bytes: how many of them there are
 * @head: head of the request's descriptor chain
 *
 * Of requests for the id string, the lifetime or a report of zones that is what
 * their data begins with; of a zone append it is append_sector.
 */
struct pykit_blk_answer {
	__le64 value[3];
	u32 type;
	u16 bytes;
	u16 head;
};

/**
 * struct pykit_first - what a chain gives the device to read first, or what it wrote first
 * @value: up to 24 bytes, 0 where there are fewer
 * @bytes: how many of them there are
 * @head: head of the descriptor chain
 *
 * Of devices other than block devices, whose requests have events of their own.
 */
struct pykit_first {
	__le64 value[3];
	u16 bytes;
	u16 head;
};

/**
 * struct pykit_blk_zone - a zone as a block device reports it
 * @start: its first sector
 * @capacity: sectors that can be written
 * @wp: the write pointer
 * @head: head of the request's descriptor chain
 * @pos: number in the report
 * @type: type of the zone
 * @state: its state
 */
struct pykit_blk_zone {
	u64 start;
	u64 capacity;
	u64 wp;
	u16 head;
	u16 pos;
	u8 type;
	u8 state;
};

/* The event pykit_compared says whether a request's header is what it was. */
#define PYKIT_HEADER_ELSEWHERE	2

/**
 * struct pykit_blk_wrote - what a device has done to a block request's buffers
 * @bytes: bytes of data that it may write
 * @written: from the first one on, those that were written
 * @touched: end of the last ones that were written
 * @type: request type
 * @sum: CRC-32 of the data that a read-only device has read, else 0
 * @head: head of the request's descriptor chain
 * @header: whether the header, which is the driver's, is what it was: 1 if so, 0 if
 *	not, 2 if it was not compared here
 * @zero: whether all of the data is zero
 * @behind: the same of the bytes behind the status: 1 if so, 2 if not, 0 if they were
 *	not compared here
 * @known: sectors of a read whose contents are known, as they were written before
 * @other: how many of these have other contents
 *
 * The driver or the probe has put a mark in the last eight bytes of each sector of the
 * data, and in the last eight bytes of all: @written and @touched end where one of them
 * does.
 */
struct pykit_blk_wrote {
	u64 bytes;
	u64 written;
	u64 touched;
	u32 type;
	u32 sum;
	u16 head;
	u8 header;
	u8 zero;
	u8 behind;
	u16 known;
	u16 other;
};

/**
 * struct pykit_got - a chain that a vhost device took
 * @readable: bytes of it that the device may read
 * @writable: bytes of it that the device may write
 * @out: parts to be read, as they lie in the owner's memory
 * @in: parts to be written
 * @head: its head
 * @avail_idx: position in the available ring
 */
struct pykit_got {
	u64 readable;
	u64 writable;
	u32 out;
	u32 in;
	u16 head;
	u16 avail_idx;
};

/**
 * struct pykit_signal - a vhost device's decision whether to signal the driver
 * @old: used index at the previous decision
 * @new: used index now
 * @event: used_event with EVENT_IDX, else the flags of the available ring: what
 *	the decision was made of
 * @event_idx: whether EVENT_IDX was negotiated
 * @valid: whether @old is known
 * @sent: whether the driver is signalled
 */
struct pykit_signal {
	u16 old;
	u16 new;
	u16 event;
	u8 event_idx;
	u8 valid;
	u8 sent;
};

/**
 * pykit_trace_vq() - emit an event of a virtqueue
 * @event: name of the event, without "pykit_"
 * @vqid: &struct pykit_vq_id of the queue
 *
 * Further arguments are those of the event. A number is spent only where the
 * event is enabled, and before a place in the trace buffer is asked for: a gap
 * is an event that was lost.
 */
#define pykit_trace_vq(event, vqid, ...)					\
do {									\
	if (trace_pykit_##event##_enabled()) {				\
		struct pykit_vq_id *__vqid = (vqid);			\
									\
		trace_pykit_##event(__vqid,				\
				    atomic_inc_return(&__vqid->seq),	\
				    ##__VA_ARGS__);			\
	}								\
} while (0)

#endif /* _PYKIT_TRACE_TYPES */

TRACE_DEFINE_ENUM(PYKIT_BY_DRIVER);
TRACE_DEFINE_ENUM(PYKIT_BY_PROBE);
TRACE_DEFINE_ENUM(PYKIT_STAGE_BEGIN);
TRACE_DEFINE_ENUM(PYKIT_STAGE_PROBED);
TRACE_DEFINE_ENUM(PYKIT_STAGE_FAILED);
TRACE_DEFINE_ENUM(PYKIT_STAGE_REMOVE);
TRACE_DEFINE_ENUM(PYKIT_STAGE_REMOVED);
TRACE_DEFINE_ENUM(PYKIT_STAGE_FREEZE);
TRACE_DEFINE_ENUM(PYKIT_STAGE_RESTORE);
TRACE_DEFINE_ENUM(PYKIT_STAGE_JOINED);
TRACE_DEFINE_ENUM(PYKIT_OFFERED);
TRACE_DEFINE_ENUM(PYKIT_FINALIZED);
TRACE_DEFINE_ENUM(PYKIT_FROZEN);
TRACE_DEFINE_ENUM(PYKIT_STATUS_WRITE);
TRACE_DEFINE_ENUM(PYKIT_STATUS_READ);
TRACE_DEFINE_ENUM(PYKIT_STATUS_RESET);
TRACE_DEFINE_ENUM(PYKIT_QUEUE_SET_UP);
TRACE_DEFINE_ENUM(PYKIT_QUEUE_DELETED);
TRACE_DEFINE_ENUM(PYKIT_QUEUE_JOINED);
TRACE_DEFINE_ENUM(PYKIT_QUEUE_LEFT);
TRACE_DEFINE_ENUM(PYKIT_QUEUE_BROKEN);
TRACE_DEFINE_ENUM(PYKIT_QUEUE_UNBROKEN);

#define pykit_show_by(by)						\
	__print_symbolic(by,						\
		{ PYKIT_BY_DRIVER, "driver" },				\
		{ PYKIT_BY_PROBE, "probe" })

#define pykit_show_stage(stage)						\
	__print_symbolic(stage,						\
		{ PYKIT_STAGE_BEGIN, "begin" },				\
		{ PYKIT_STAGE_PROBED, "probed" },			\
		{ PYKIT_STAGE_FAILED, "failed" },			\
		{ PYKIT_STAGE_REMOVE, "remove" },			\
		{ PYKIT_STAGE_REMOVED, "removed" },			\
		{ PYKIT_STAGE_FREEZE, "freeze" },			\
		{ PYKIT_STAGE_RESTORE, "restore" },			\
		{ PYKIT_STAGE_JOINED, "joined" })

#define pykit_show_negotiation(stage)					\
	__print_symbolic(stage,						\
		{ PYKIT_OFFERED, "offered" },				\
		{ PYKIT_FINALIZED, "finalized" },			\
		{ PYKIT_FROZEN, "frozen" })

#define pykit_show_status_op(op)					\
	__print_symbolic(op,						\
		{ PYKIT_STATUS_WRITE, "write" },			\
		{ PYKIT_STATUS_READ, "read" },				\
		{ PYKIT_STATUS_RESET, "reset" })

#define pykit_show_queue_op(op)						\
	__print_symbolic(op,						\
		{ PYKIT_QUEUE_SET_UP, "set_up" },			\
		{ PYKIT_QUEUE_DELETED, "deleted" },			\
		{ PYKIT_QUEUE_JOINED, "joined" },			\
		{ PYKIT_QUEUE_LEFT, "left" },				\
		{ PYKIT_QUEUE_BROKEN, "broken" },			\
		{ PYKIT_QUEUE_UNBROKEN, "unbroken" })

#define pykit_show_layout(layout)					\
	__print_symbolic(layout,					\
		{ 0, "split" },						\
		{ 1, "packed" })

#define pykit_show_status(status)					\
	__print_flags(status, "|",					\
		{ VIRTIO_CONFIG_S_ACKNOWLEDGE, "ACKNOWLEDGE" },		\
		{ VIRTIO_CONFIG_S_DRIVER, "DRIVER" },			\
		{ VIRTIO_CONFIG_S_DRIVER_OK, "DRIVER_OK" },		\
		{ VIRTIO_CONFIG_S_FEATURES_OK, "FEATURES_OK" },		\
		{ VIRTIO_CONFIG_S_NEEDS_RESET, "NEEDS_RESET" },		\
		{ VIRTIO_CONFIG_S_FAILED, "FAILED" })

/* The last two are those of a packed ring. */
#define pykit_show_desc(flags)						\
	__print_flags(flags, "|",					\
		{ VRING_DESC_F_NEXT, "NEXT" },				\
		{ VRING_DESC_F_WRITE, "WRITE" },			\
		{ VRING_DESC_F_INDIRECT, "INDIRECT" },			\
		{ 0x80, "AVAIL" },					\
		{ 0x8000, "USED" })

/* Types and status bytes by number: not every kernel has a name for all of them. */
#define pykit_show_blk_type(type)					\
	__print_symbolic(type,						\
		{ 0, "IN" },						\
		{ 1, "OUT" },						\
		{ 4, "FLUSH" },						\
		{ 8, "GET_ID" },					\
		{ 10, "GET_LIFETIME" },					\
		{ 11, "DISCARD" },					\
		{ 13, "WRITE_ZEROES" },					\
		{ 14, "SECURE_ERASE" },					\
		{ 15, "ZONE_APPEND" },					\
		{ 16, "ZONE_REPORT" },					\
		{ 18, "ZONE_OPEN" },					\
		{ 20, "ZONE_CLOSE" },					\
		{ 22, "ZONE_FINISH" },					\
		{ 24, "ZONE_RESET" },					\
		{ 26, "ZONE_RESET_ALL" })

#define pykit_show_blk_status(status)					\
	__print_symbolic(status,					\
		{ 0, "OK" },						\
		{ 1, "IOERR" },						\
		{ 2, "UNSUPP" },					\
		{ 3, "ZONE_INVALID_CMD" },				\
		{ 4, "ZONE_UNALIGNED_WP" },				\
		{ 5, "ZONE_OPEN_RESOURCE" },				\
		{ 6, "ZONE_ACTIVE_RESOURCE" })

#define pykit_show_zone_type(type)					\
	__print_symbolic(type,						\
		{ 1, "CONV" },						\
		{ 2, "SWR" },						\
		{ 3, "SWP" })

#define pykit_show_zone_state(state)					\
	__print_symbolic(state,						\
		{ 0, "NOT_WP" },					\
		{ 1, "EMPTY" },						\
		{ 2, "IOPEN" },						\
		{ 3, "EOPEN" },						\
		{ 4, "CLOSED" },					\
		{ 13, "RDONLY" },					\
		{ 14, "FULL" },						\
		{ 15, "OFFLINE" })

/*
 * What events have in common, around what they have besides: fields are sorted by
 * their width, so that there is no padding. Of a device, of a virtqueue as its driver
 * or the probe has it, and of a virtqueue as a vhost back-end has it. These cannot be
 * nested: the fields expand to lists with commas.
 */
#define PYKIT_NONE

#define PYKIT_DEV_FIELDS(wide, narrow)					\
	__field(u32, dev) wide						\
	narrow __field(u8, by)

#define PYKIT_DEV_ASSIGN						\
	do {								\
		__entry->dev = dev;					\
		__entry->by = by;					\
	} while (0)

#define PYKIT_DEV_FMT	"dev=%u by=%s "
#define PYKIT_DEV_ARGS	__entry->dev, pykit_show_by(__entry->by)

#define PYKIT_VHOST_FIELDS(wide, half, narrow)				\
	__field(u32, dev) __field(u32, seq) wide			\
	__field(u16, vq) half						\
	narrow

#define PYKIT_VHOST_ASSIGN						\
	do {								\
		__entry->dev = vqid->dev;					\
		__entry->seq = seq;					\
		__entry->vq = vqid->vq;					\
	} while (0)

#define PYKIT_VHOST_FMT		"dev=%u vq=%u seq=%u "
#define PYKIT_VHOST_ARGS	__entry->dev, __entry->vq, __entry->seq

#define PYKIT_VQ_FIELDS(wide, half, narrow)				\
	__field(u32, dev) __field(u32, seq) wide			\
	__field(u16, vq) half						\
	narrow __field(u8, by)

#define PYKIT_VQ_ASSIGN							\
	do {								\
		PYKIT_VHOST_ASSIGN;					\
		__entry->by = vqid->by;					\
	} while (0)

#define PYKIT_VQ_FMT	"dev=%u by=%s vq=%u seq=%u "
#define PYKIT_VQ_ARGS							\
	__entry->dev, pykit_show_by(__entry->by), __entry->vq, __entry->seq

TRACE_EVENT(pykit_driver,
	    TP_PROTO(u32 dev, u8 by, u32 id, s32 err, u8 stage),
	    TP_ARGS(dev, by, id, err, stage),
	    TP_STRUCT__entry(PYKIT_DEV_FIELDS(__field(u32, id) __field(s32, err),
					      __field(u8, stage))),
	    TP_fast_assign(PYKIT_DEV_ASSIGN;
			   __entry->id = id;
			   __entry->err = err;
			   __entry->stage = stage;
	    ),
	    TP_printk(PYKIT_DEV_FMT "id=%u stage=%s err=%d",
		      PYKIT_DEV_ARGS, __entry->id, pykit_show_stage(__entry->stage),
		      __entry->err)
);

TRACE_EVENT(pykit_features,
	    TP_PROTO(u32 dev, u8 by, u64 offered, u64 driver, u64 acked, u8 stage),
	    TP_ARGS(dev, by, offered, driver, acked, stage),
	    TP_STRUCT__entry(__field(u64, offered)
			     __field(u64, driver)
			     __field(u64, acked)
			     PYKIT_DEV_FIELDS(PYKIT_NONE, __field(u8, stage))),
	    TP_fast_assign(PYKIT_DEV_ASSIGN;
			   __entry->offered = offered;
			   __entry->driver = driver;
			   __entry->acked = acked;
			   __entry->stage = stage;
	    ),
	    TP_printk(PYKIT_DEV_FMT "stage=%s offered=%#llx driver=%#llx acked=%#llx",
		      PYKIT_DEV_ARGS, pykit_show_negotiation(__entry->stage),
		      __entry->offered, __entry->driver, __entry->acked)
);

TRACE_EVENT(pykit_status,
	    TP_PROTO(u32 dev, u8 by, u8 status, u8 op),
	    TP_ARGS(dev, by, status, op),
	    TP_STRUCT__entry(PYKIT_DEV_FIELDS(PYKIT_NONE, __field(u8, status) __field(u8, op))),
	    TP_fast_assign(PYKIT_DEV_ASSIGN;
			   __entry->status = status;
			   __entry->op = op;
	    ),
	    TP_printk(PYKIT_DEV_FMT "op=%s status=%s",
		      PYKIT_DEV_ARGS, pykit_show_status_op(__entry->op),
		      pykit_show_status(__entry->status))
);

TRACE_EVENT(pykit_config,
	    TP_PROTO(u32 dev, u8 by, u64 value, u32 offset, u32 len, u8 write),
	    TP_ARGS(dev, by, value, offset, len, write),
	    TP_STRUCT__entry(__field(u64, value)
			     PYKIT_DEV_FIELDS(__field(u32, offset) __field(u32, len),
					      __field(u8, write))),
	    TP_fast_assign(PYKIT_DEV_ASSIGN;
			   __entry->value = value;
			   __entry->offset = offset;
			   __entry->len = len;
			   __entry->write = write;
	    ),
	    TP_printk(PYKIT_DEV_FMT "%s offset=%u len=%u value=%#llx",
		      PYKIT_DEV_ARGS, __entry->write ? "write" : "read", __entry->offset,
		      __entry->len, __entry->value)
);

TRACE_EVENT(pykit_generation,
	    TP_PROTO(u32 dev, u8 by, u32 generation),
	    TP_ARGS(dev, by, generation),
	    TP_STRUCT__entry(PYKIT_DEV_FIELDS(__field(u32, generation), PYKIT_NONE)),
	    TP_fast_assign(PYKIT_DEV_ASSIGN;
			   __entry->generation = generation;
	    ),
	    TP_printk(PYKIT_DEV_FMT "generation=%u",
		      PYKIT_DEV_ARGS, __entry->generation)
);

TRACE_EVENT(pykit_config_change,
	    TP_PROTO(u32 dev, u8 by, u8 status),
	    TP_ARGS(dev, by, status),
	    TP_STRUCT__entry(PYKIT_DEV_FIELDS(PYKIT_NONE, __field(u8, status))),
	    TP_fast_assign(PYKIT_DEV_ASSIGN;
			   __entry->status = status;
	    ),
	    TP_printk(PYKIT_DEV_FMT "status=%s",
		      PYKIT_DEV_ARGS, pykit_show_status(__entry->status))
);

TRACE_EVENT(pykit_queue,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_queue_state *state),
	    TP_ARGS(vqid, seq, state),
	    TP_STRUCT__entry(__field(u64, desc)
			     __field(u64, avail)
			     __field(u64, used)
			     PYKIT_VQ_FIELDS(__field(u32, size),
					     __field(u16, num_queues)
					     __field(u16, avail_flags)
					     __field(u16, avail_idx)
					     __field(u16, used_flags) __field(u16, used_idx),
					     __field(u8, layout) __field(u8, op))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->desc = state->desc;
			   __entry->avail = state->avail;
			   __entry->used = state->used;
			   __entry->size = state->size;
			   __entry->num_queues = state->num_queues;
			   __entry->avail_flags = state->avail_flags;
			   __entry->avail_idx = state->avail_idx;
			   __entry->used_flags = state->used_flags;
			   __entry->used_idx = state->used_idx;
			   __entry->layout = state->layout;
			   __entry->op = state->op;
	    ),
	    TP_printk(PYKIT_VQ_FMT "op=%s layout=%s size=%u num_queues=%u desc=%#llx avail=%#llx used=%#llx avail_flags=%#x avail_idx=%u used_flags=%#x used_idx=%u",
		      PYKIT_VQ_ARGS, pykit_show_queue_op(__entry->op),
		      pykit_show_layout(__entry->layout), __entry->size,
		      __entry->num_queues, __entry->desc, __entry->avail, __entry->used,
		      __entry->avail_flags, __entry->avail_idx, __entry->used_flags,
		      __entry->used_idx)
);

TRACE_EVENT(pykit_add,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_chain *chain),
	    TP_ARGS(vqid, seq, chain),
	    TP_STRUCT__entry(__field(u64, before)
			     __field(u64, readable)
			     __field(u64, writable)
			     PYKIT_VQ_FIELDS(__field(u32, chain) __field(u32, num_free),
					     __field(u16, head) __field(u16, avail_idx)
					     __field(u16, slots) __field(u16, used_idx)
					     __field(u16, differs),
					     __field(u8, indirect))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->before = chain->before;
			   __entry->readable = chain->readable;
			   __entry->writable = chain->writable;
			   __entry->chain = chain->chain;
			   __entry->num_free = chain->num_free;
			   __entry->head = chain->head;
			   __entry->avail_idx = chain->avail_idx;
			   __entry->slots = chain->slots;
			   __entry->used_idx = chain->used_idx;
			   __entry->differs = chain->differs;
			   __entry->indirect = chain->indirect;
	    ),
	    TP_printk(PYKIT_VQ_FMT "head=%u chain=%u slots=%u indirect=%u readable=%llu writable=%llu num_free=%u avail_idx=%u used_idx=%u differs=%u before=%llu",
		      PYKIT_VQ_ARGS, __entry->head, __entry->chain, __entry->slots,
		      __entry->indirect, __entry->readable, __entry->writable,
		      __entry->num_free, __entry->avail_idx, __entry->used_idx,
		      __entry->differs, __entry->before)
);

TRACE_EVENT(pykit_desc,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u16 chain,
		     const struct pykit_desc *desc),
	    TP_ARGS(vqid, seq, chain, desc),
	    TP_STRUCT__entry(__field(u64, addr)
			     PYKIT_VQ_FIELDS(__field(u32, len),
					     __field(u16, head) __field(u16, slot)
					     __field(u16, flags) __field(u16, next)
					     __field(u16, pos),
					     __field(u8, table))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->addr = desc->addr;
			   __entry->len = desc->len;
			   __entry->head = chain;
			   __entry->slot = desc->slot;
			   __entry->flags = desc->flags;
			   __entry->next = desc->next;
			   __entry->pos = desc->pos;
			   __entry->table = desc->table;
	    ),
	    TP_printk(PYKIT_VQ_FMT "head=%u pos=%u table=%u slot=%u addr=%#llx len=%u flags=%s next=%u",
		      PYKIT_VQ_ARGS, __entry->head, __entry->pos, __entry->table,
		      __entry->slot, __entry->addr, __entry->len,
		      pykit_show_desc(__entry->flags), __entry->next)
);

TRACE_EVENT(pykit_slot,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u16 chain,
		     const struct pykit_desc *desc),
	    TP_ARGS(vqid, seq, chain, desc),
	    TP_STRUCT__entry(__field(u64, addr)
			     PYKIT_VQ_FIELDS(__field(u32, len),
					     __field(u16, head) __field(u16, slot)
					     __field(u16, id) __field(u16, flags)
					     __field(u16, pos),
					     PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->addr = desc->addr;
			   __entry->len = desc->len;
			   __entry->head = chain;
			   __entry->slot = desc->slot;
			   __entry->id = desc->next;
			   __entry->flags = desc->flags;
			   __entry->pos = desc->pos;
	    ),
	    TP_printk(PYKIT_VQ_FMT "head=%u pos=%u slot=%u addr=%#llx len=%u id=%u flags=%s",
		      PYKIT_VQ_ARGS, __entry->head, __entry->pos, __entry->slot,
		      __entry->addr, __entry->len, __entry->id,
		      pykit_show_desc(__entry->flags))
);

TRACE_EVENT(pykit_add_failed,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_add_failure *failure),
	    TP_ARGS(vqid, seq, failure),
	    TP_STRUCT__entry(PYKIT_VQ_FIELDS(__field(s32, err) __field(u32, chain)
					     __field(u32, num_free),
					     __field(u16, slots) __field(u16, old)
					     __field(u16, new) __field(u16, event)
					     __field(u16, event_after) __field(u16, flags)
					     __field(u16, flags_after),
					     __field(u8, event_idx) __field(u8, notified))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->err = failure->err;
			   __entry->chain = failure->chain;
			   __entry->num_free = failure->num_free;
			   __entry->slots = failure->slots;
			   __entry->old = failure->old;
			   __entry->new = failure->new;
			   __entry->event = failure->event;
			   __entry->event_after = failure->event_after;
			   __entry->flags = failure->flags;
			   __entry->flags_after = failure->flags_after;
			   __entry->event_idx = failure->event_idx;
			   __entry->notified = failure->notified;
	    ),
	    TP_printk(PYKIT_VQ_FMT "err=%d chain=%u slots=%u num_free=%u old=%u new=%u event_idx=%u event=%u/%u flags=%#x/%#x notified=%u",
		      PYKIT_VQ_ARGS, __entry->err, __entry->chain, __entry->slots,
		      __entry->num_free, __entry->old, __entry->new, __entry->event_idx,
		      __entry->event, __entry->event_after, __entry->flags,
		      __entry->flags_after, __entry->notified)
);

TRACE_EVENT(pykit_kick,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_kick *kick),
	    TP_ARGS(vqid, seq, kick),
	    TP_STRUCT__entry(PYKIT_VQ_FIELDS(PYKIT_NONE, __field(u16, old) __field(u16, new)
					     __field(u16, event) __field(u16, event_after)
					     __field(u16, flags) __field(u16, flags_after),
					     __field(u8, event_idx) __field(u8, needed))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->old = kick->old;
			   __entry->new = kick->new;
			   __entry->event = kick->event;
			   __entry->event_after = kick->event_after;
			   __entry->flags = kick->flags;
			   __entry->flags_after = kick->flags_after;
			   __entry->event_idx = kick->event_idx;
			   __entry->needed = kick->needed;
	    ),
	    TP_printk(PYKIT_VQ_FMT "old=%u new=%u event_idx=%u event=%u/%u flags=%#x/%#x needed=%u",
		      PYKIT_VQ_ARGS, __entry->old, __entry->new, __entry->event_idx,
		      __entry->event, __entry->event_after, __entry->flags,
		      __entry->flags_after, __entry->needed)
);

TRACE_EVENT(pykit_notify,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq),
	    TP_ARGS(vqid, seq),
	    TP_STRUCT__entry(PYKIT_VQ_FIELDS(PYKIT_NONE, PYKIT_NONE, PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
	    ),
	    TP_printk(PYKIT_VQ_FMT,
		      PYKIT_VQ_ARGS)
);

DECLARE_EVENT_CLASS(pykit_came,
		    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u32 irq, u16 used_idx,
			     u16 last_used),
		    TP_ARGS(vqid, seq, irq, used_idx, last_used),
		    TP_STRUCT__entry(PYKIT_VQ_FIELDS(__field(u32, irq),
						     __field(u16, used_idx)
						     __field(u16, last_used),
						     PYKIT_NONE)),
		    TP_fast_assign(PYKIT_VQ_ASSIGN;
				   __entry->irq = irq;
				   __entry->used_idx = used_idx;
				   __entry->last_used = last_used;
		    ),
		    TP_printk(PYKIT_VQ_FMT "used_idx=%u last_used=%u irq=%u",
			      PYKIT_VQ_ARGS, __entry->used_idx, __entry->last_used,
			      __entry->irq)
);

/* The number of the interrupt is 0 where it is not known. */
DEFINE_EVENT(pykit_came, pykit_interrupt,
	     TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u32 irq, u16 used_idx,
		      u16 last_used),
	     TP_ARGS(vqid, seq, irq, used_idx, last_used)
);

/* An interrupt came, and there was nothing to take. */
DEFINE_EVENT(pykit_came, pykit_stray,
	     TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u32 irq, u16 used_idx,
		      u16 last_used),
	     TP_ARGS(vqid, seq, irq, used_idx, last_used)
);

TRACE_EVENT(pykit_used,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_used *used),
	    TP_ARGS(vqid, seq, used),
	    TP_STRUCT__entry(PYKIT_VQ_FIELDS(__field(u32, id) __field(u32, len),
					     __field(u16, index) __field(u16, used_idx)
					     __field(u16, flags) __field(u16, event)
					     __field(u16, event_flags),
					     __field(u8, accepted))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->id = used->id;
			   __entry->len = used->len;
			   __entry->index = used->index;
			   __entry->used_idx = used->used_idx;
			   __entry->flags = used->flags;
			   __entry->event = used->event;
			   __entry->event_flags = used->event_flags;
			   __entry->accepted = used->accepted;
	    ),
	    TP_printk(PYKIT_VQ_FMT "index=%u used_idx=%u id=%u len=%u flags=%s event=%u event_flags=%#x accepted=%u",
		      PYKIT_VQ_ARGS, __entry->index, __entry->used_idx, __entry->id,
		      __entry->len, pykit_show_desc(__entry->flags), __entry->event,
		      __entry->event_flags, __entry->accepted)
);

TRACE_EVENT(pykit_compared,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_compared *compared),
	    TP_ARGS(vqid, seq, compared),
	    TP_STRUCT__entry(PYKIT_VQ_FIELDS(__field(u32, id) __field(u32, len),
					     __field(u16, index) __field(u16, head)
					     __field(u16, changed) __field(u16, driver_area)
					     __field(u16, slot),
					     __field(u8, header) __field(u8, behind)
					     __field(u8, table) __field(u8, between))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->id = compared->id;
			   __entry->len = compared->len;
			   __entry->index = compared->index;
			   __entry->head = compared->head;
			   __entry->changed = compared->changed;
			   __entry->driver_area = compared->driver_area;
			   __entry->slot = compared->slot;
			   __entry->header = compared->header;
			   __entry->behind = compared->behind;
			   __entry->table = compared->table;
			   __entry->between = compared->between;
	    ),
	    TP_printk(PYKIT_VQ_FMT "index=%u head=%u id=%u len=%u changed=%u driver_area=%#x header=%u behind=%u table=%u between=%#x slot=%u",
		      PYKIT_VQ_ARGS, __entry->index, __entry->head, __entry->id,
		      __entry->len, __entry->changed, __entry->driver_area,
		      __entry->header, __entry->behind, __entry->table,
		      __entry->between, __entry->slot)
);

TRACE_EVENT(pykit_callback,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_callback *cb),
	    TP_ARGS(vqid, seq, cb),
	    TP_STRUCT__entry(PYKIT_VQ_FIELDS(PYKIT_NONE, __field(u16, avail_flags)
					     __field(u16, used_event)
					     __field(u16, last_used) __field(u16, used_idx),
					     __field(u8, event_idx) __field(u8, enable)
					     __field(u8, pending))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->avail_flags = cb->avail_flags;
			   __entry->used_event = cb->used_event;
			   __entry->last_used = cb->last_used;
			   __entry->used_idx = cb->used_idx;
			   __entry->event_idx = cb->event_idx;
			   __entry->enable = cb->enable;
			   __entry->pending = cb->pending;
	    ),
	    TP_printk(PYKIT_VQ_FMT "%s event_idx=%u avail_flags=%#x used_event=%u last_used=%u used_idx=%u pending=%u",
		      PYKIT_VQ_ARGS, __entry->enable ? "enable" : "disable",
		      __entry->event_idx, __entry->avail_flags, __entry->used_event,
		      __entry->last_used, __entry->used_idx, __entry->pending)
);

TRACE_EVENT(pykit_detach,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u32 num_free, u16 slots),
	    TP_ARGS(vqid, seq, num_free, slots),
	    TP_STRUCT__entry(PYKIT_VQ_FIELDS(__field(u32, num_free),
					     __field(u16, slots), PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->num_free = num_free;
			   __entry->slots = slots;
	    ),
	    TP_printk(PYKIT_VQ_FMT "slots=%u num_free=%u",
		      PYKIT_VQ_ARGS, __entry->slots, __entry->num_free)
);

TRACE_EVENT(pykit_quiet,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u16 used_idx, u16 used_after),
	    TP_ARGS(vqid, seq, used_idx, used_after),
	    TP_STRUCT__entry(PYKIT_VQ_FIELDS(PYKIT_NONE,
					     __field(u16, used_idx) __field(u16, used_after),
					     PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->used_idx = used_idx;
			   __entry->used_after = used_after;
	    ),
	    TP_printk(PYKIT_VQ_FMT "used_idx=%u used_after=%u",
		      PYKIT_VQ_ARGS, __entry->used_idx, __entry->used_after)
);

TRACE_EVENT(pykit_blk_start,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, const struct pykit_blk *blk),
	    TP_ARGS(vqid, seq, blk),
	    TP_STRUCT__entry(__field(u64, sector)
			     __field(u64, status_addr)
			     __field(u64, bytes)
			     PYKIT_VQ_FIELDS(__field(u32, type),
					     __field(u16, head) __field(u16, segments),
					     PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->sector = blk->sector;
			   __entry->status_addr = blk->status_addr;
			   __entry->bytes = blk->bytes;
			   __entry->type = blk->type;
			   __entry->head = blk->head;
			   __entry->segments = blk->segments;
	    ),
	    TP_printk(PYKIT_VQ_FMT "head=%u type=%s sector=%llu bytes=%llu segments=%u status_addr=%#llx",
		      PYKIT_VQ_ARGS, __entry->head, pykit_show_blk_type(__entry->type),
		      __entry->sector, __entry->bytes, __entry->segments,
		      __entry->status_addr)
);

TRACE_EVENT(pykit_blk_range,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u16 chain, u16 pos,
		     u64 sector, u32 sectors, u32 flags),
	    TP_ARGS(vqid, seq, chain, pos, sector, sectors, flags),
	    TP_STRUCT__entry(__field(u64, sector)
			     PYKIT_VQ_FIELDS(__field(u32, sectors) __field(u32, flags),
					     __field(u16, head) __field(u16, pos), PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->sector = sector;
			   __entry->sectors = sectors;
			   __entry->flags = flags;
			   __entry->head = chain;
			   __entry->pos = pos;
	    ),
	    TP_printk(PYKIT_VQ_FMT "head=%u pos=%u sector=%llu sectors=%u flags=%#x",
		      PYKIT_VQ_ARGS, __entry->head, __entry->pos, __entry->sector,
		      __entry->sectors, __entry->flags)
);

DECLARE_EVENT_CLASS(pykit_first,
		    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
			     const struct pykit_first *found),
		    TP_ARGS(vqid, seq, found),
		    TP_STRUCT__entry(__field(u64, first)
				     __field(u64, second)
				     __field(u64, third)
				     PYKIT_VQ_FIELDS(PYKIT_NONE,
						     __field(u16, head) __field(u16, got),
						     PYKIT_NONE)),
		    TP_fast_assign(PYKIT_VQ_ASSIGN;
				   __entry->first = le64_to_cpu(found->value[0]);
				   __entry->second = le64_to_cpu(found->value[1]);
				   __entry->third = le64_to_cpu(found->value[2]);
				   __entry->head = found->head;
				   __entry->got = found->bytes;
		    ),
		    TP_printk(PYKIT_VQ_FMT "head=%u got=%u first=%#llx second=%#llx third=%#llx",
			      PYKIT_VQ_ARGS, __entry->head, __entry->got, __entry->first,
			      __entry->second, __entry->third)
);

/* What a chain gives the device to read first, before it is made available. */
DEFINE_EVENT(pykit_first, pykit_opening,
	     TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		      const struct pykit_first *found),
	     TP_ARGS(vqid, seq, found)
);

/* What the device wrote first, when the driver has taken the chain. */
DEFINE_EVENT(pykit_first, pykit_reply,
	     TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		      const struct pykit_first *found),
	     TP_ARGS(vqid, seq, found)
);

TRACE_EVENT(pykit_blk_answer,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_blk_answer *answer),
	    TP_ARGS(vqid, seq, answer),
	    TP_STRUCT__entry(__field(u64, first)
			     __field(u64, second)
			     __field(u64, third)
			     PYKIT_VQ_FIELDS(__field(u32, type),
					     __field(u16, head) __field(u16, got),
					     PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->first = le64_to_cpu(answer->value[0]);
			   __entry->second = le64_to_cpu(answer->value[1]);
			   __entry->third = le64_to_cpu(answer->value[2]);
			   __entry->type = answer->type;
			   __entry->head = answer->head;
			   __entry->got = answer->bytes;
	    ),
	    TP_printk(PYKIT_VQ_FMT "head=%u type=%s got=%u first=%#llx second=%#llx third=%#llx",
		      PYKIT_VQ_ARGS, __entry->head, pykit_show_blk_type(__entry->type),
		      __entry->got, __entry->first, __entry->second, __entry->third)
);

TRACE_EVENT(pykit_blk_zone,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_blk_zone *zone),
	    TP_ARGS(vqid, seq, zone),
	    TP_STRUCT__entry(__field(u64, start)
			     __field(u64, capacity)
			     __field(u64, wp)
			     PYKIT_VQ_FIELDS(PYKIT_NONE,
					     __field(u16, head) __field(u16, pos),
					     __field(u8, z_type) __field(u8, z_state))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->start = zone->start;
			   __entry->capacity = zone->capacity;
			   __entry->wp = zone->wp;
			   __entry->head = zone->head;
			   __entry->pos = zone->pos;
			   __entry->z_type = zone->type;
			   __entry->z_state = zone->state;
	    ),
	    TP_printk(PYKIT_VQ_FMT "head=%u pos=%u start=%llu capacity=%llu wp=%llu z_type=%s z_state=%s",
		      PYKIT_VQ_ARGS, __entry->head, __entry->pos, __entry->start,
		      __entry->capacity, __entry->wp, pykit_show_zone_type(__entry->z_type),
		      pykit_show_zone_state(__entry->z_state))
);

TRACE_EVENT(pykit_blk_wrote,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_blk_wrote *wrote),
	    TP_ARGS(vqid, seq, wrote),
	    TP_STRUCT__entry(__field(u64, bytes)
			     __field(u64, written)
			     __field(u64, touched)
			     PYKIT_VQ_FIELDS(__field(u32, type) __field(u32, sum),
					     __field(u16, head) __field(u16, known)
					     __field(u16, other),
					     __field(u8, header) __field(u8, zero)
					     __field(u8, behind))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->bytes = wrote->bytes;
			   __entry->written = wrote->written;
			   __entry->touched = wrote->touched;
			   __entry->type = wrote->type;
			   __entry->head = wrote->head;
			   __entry->sum = wrote->sum;
			   __entry->header = wrote->header;
			   __entry->zero = wrote->zero;
			   __entry->behind = wrote->behind;
			   __entry->known = wrote->known;
			   __entry->other = wrote->other;
	    ),
	    TP_printk(PYKIT_VQ_FMT "head=%u type=%s bytes=%llu written=%llu touched=%llu header=%u behind=%u zero=%u sum=%#x known=%u other=%u",
		      PYKIT_VQ_ARGS, __entry->head, pykit_show_blk_type(__entry->type),
		      __entry->bytes, __entry->written, __entry->touched,
		      __entry->header, __entry->behind, __entry->zero,
		      __entry->sum, __entry->known, __entry->other)
);

DECLARE_EVENT_CLASS(pykit_blk_end,
		    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
			     const struct pykit_blk_end *end),
		    TP_ARGS(vqid, seq, end),
		    TP_STRUCT__entry(__field(u64, sector)
				     PYKIT_VQ_FIELDS(__field(u32, type) __field(u32, len),
						     __field(u16, head),
						     __field(u8, status))),
		    TP_fast_assign(PYKIT_VQ_ASSIGN;
				   __entry->sector = end->sector;
				   __entry->type = end->type;
				   __entry->len = end->len;
				   __entry->head = end->head;
				   __entry->status = end->status;
		    ),
		    TP_printk(PYKIT_VQ_FMT "head=%u type=%s sector=%llu len=%u status=%s",
			      PYKIT_VQ_ARGS, __entry->head,
			      pykit_show_blk_type(__entry->type), __entry->sector,
			      __entry->len, pykit_show_blk_status(__entry->status))
);

DEFINE_EVENT(pykit_blk_end, pykit_blk_done,
	     TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		      const struct pykit_blk_end *end),
	     TP_ARGS(vqid, seq, end)
);

DEFINE_EVENT(pykit_blk_end, pykit_vhost_blk,
	     TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		      const struct pykit_blk_end *end),
	     TP_ARGS(vqid, seq, end)
);

TRACE_EVENT(pykit_blk_passed,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_blk_passed *passed),
	    TP_ARGS(vqid, seq, passed),
	    TP_STRUCT__entry(__field(u64, passed)
			     PYKIT_VQ_FIELDS(__field(u32, type) __field(u32, len),
					     __field(u16, head),
					     __field(u8, error))),
	    TP_fast_assign(PYKIT_VQ_ASSIGN;
			   __entry->passed = passed->passed;
			   __entry->type = passed->type;
			   __entry->len = passed->len;
			   __entry->head = passed->head;
			   __entry->error = passed->error;
	    ),
	    TP_printk(PYKIT_VQ_FMT "head=%u type=%s len=%u passed=%llu error=%u",
		      PYKIT_VQ_ARGS, __entry->head, pykit_show_blk_type(__entry->type),
		      __entry->len, __entry->passed, __entry->error)
);

TRACE_EVENT(pykit_vhost_attach,
	    TP_PROTO(u32 dev, u32 serves, u8 ended),
	    TP_ARGS(dev, serves, ended),
	    TP_STRUCT__entry(__field(u32, dev)
			     __field(u32, serves)
			     __field(u8, ended)),
	    TP_fast_assign(__entry->dev = dev;
			   __entry->serves = serves;
			   __entry->ended = ended;
	    ),
	    TP_printk("dev=%u serves=%u ended=%u",
		      __entry->dev, __entry->serves, __entry->ended)
);

TRACE_EVENT(pykit_vhost_queue,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u64 features, u32 size,
		     u16 avail_idx, u16 used_idx),
	    TP_ARGS(vqid, seq, features, size, avail_idx, used_idx),
	    TP_STRUCT__entry(__field(u64, features)
			     PYKIT_VHOST_FIELDS(__field(u32, size),
						__field(u16, avail_idx)
						__field(u16, used_idx), PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VHOST_ASSIGN;
			   __entry->features = features;
			   __entry->size = size;
			   __entry->avail_idx = avail_idx;
			   __entry->used_idx = used_idx;
	    ),
	    TP_printk(PYKIT_VHOST_FMT "features=%#llx size=%u avail_idx=%u used_idx=%u",
		      PYKIT_VHOST_ARGS, __entry->features, __entry->size,
		      __entry->avail_idx, __entry->used_idx)
);

TRACE_EVENT(pykit_vhost_get,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, const struct pykit_got *got),
	    TP_ARGS(vqid, seq, got),
	    TP_STRUCT__entry(__field(u64, readable)
			     __field(u64, writable)
			     PYKIT_VHOST_FIELDS(__field(u32, out) __field(u32, in),
						__field(u16, head) __field(u16, avail_idx),
						PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VHOST_ASSIGN;
			   __entry->readable = got->readable;
			   __entry->writable = got->writable;
			   __entry->out = got->out;
			   __entry->in = got->in;
			   __entry->head = got->head;
			   __entry->avail_idx = got->avail_idx;
	    ),
	    TP_printk(PYKIT_VHOST_FMT "head=%u out=%u (%llu) in=%u (%llu) avail_idx=%u",
		      PYKIT_VHOST_ARGS, __entry->head, __entry->out, __entry->readable,
		      __entry->in, __entry->writable, __entry->avail_idx)
);

TRACE_EVENT(pykit_vhost_used,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u32 id, u32 len,
		     u16 used_idx, u16 avail_idx),
	    TP_ARGS(vqid, seq, id, len, used_idx, avail_idx),
	    TP_STRUCT__entry(PYKIT_VHOST_FIELDS(__field(u32, id) __field(u32, len),
						__field(u16, used_idx)
						__field(u16, avail_idx), PYKIT_NONE)),
	    TP_fast_assign(PYKIT_VHOST_ASSIGN;
			   __entry->id = id;
			   __entry->len = len;
			   __entry->used_idx = used_idx;
			   __entry->avail_idx = avail_idx;
	    ),
	    TP_printk(PYKIT_VHOST_FMT "id=%u len=%u used_idx=%u avail_idx=%u",
		      PYKIT_VHOST_ARGS, __entry->id, __entry->len, __entry->used_idx,
		      __entry->avail_idx)
);

TRACE_EVENT(pykit_vhost_signal,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq,
		     const struct pykit_signal *signal),
	    TP_ARGS(vqid, seq, signal),
	    TP_STRUCT__entry(PYKIT_VHOST_FIELDS(PYKIT_NONE, __field(u16, old) __field(u16, new)
						__field(u16, event),
						__field(u8, event_idx) __field(u8, valid)
						__field(u8, sent))),
	    TP_fast_assign(PYKIT_VHOST_ASSIGN;
			   __entry->old = signal->old;
			   __entry->new = signal->new;
			   __entry->event = signal->event;
			   __entry->event_idx = signal->event_idx;
			   __entry->valid = signal->valid;
			   __entry->sent = signal->sent;
	    ),
	    TP_printk(PYKIT_VHOST_FMT "old=%u valid=%u new=%u event_idx=%u event=%u sent=%u",
		      PYKIT_VHOST_ARGS, __entry->old, __entry->valid, __entry->new,
		      __entry->event_idx, __entry->event, __entry->sent)
);

TRACE_EVENT(pykit_vhost_notify,
	    TP_PROTO(const struct pykit_vq_id *vqid, u32 seq, u16 avail_idx, u8 enable,
		     u8 pending),
	    TP_ARGS(vqid, seq, avail_idx, enable, pending),
	    TP_STRUCT__entry(PYKIT_VHOST_FIELDS(PYKIT_NONE, __field(u16, avail_idx),
						__field(u8, enable) __field(u8, pending))),
	    TP_fast_assign(PYKIT_VHOST_ASSIGN;
			   __entry->avail_idx = avail_idx;
			   __entry->enable = enable;
			   __entry->pending = pending;
	    ),
	    TP_printk(PYKIT_VHOST_FMT "%s avail_idx=%u pending=%u",
		      PYKIT_VHOST_ARGS, __entry->enable ? "enable" : "disable",
		      __entry->avail_idx, __entry->pending)
);

#endif /* _TRACE_PYKIT_H */

#include <trace/define_trace.h>
