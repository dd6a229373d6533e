/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtqueue's ring as it stands in memory, and the events that tell of it.
 *
 * Whoever calls the virtio core's operations on a queue, or looks on, calls the
 * functions here before and after each: they read ring memory, keep track of
 * positions, and emit the event.
 */
#ifndef PYKIT_RING_H
#define PYKIT_RING_H

#include <linux/scatterlist.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <trace/events/pykit.h>

/* A position in a packed ring: slot below, wrap counter on top. */
#define PYKIT_WRAP		BIT(VRING_PACKED_EVENT_F_WRAP_CTR)

/* What a block request begins with. */
#define PYKIT_HEADER_BYTES	16

/* What is looked at behind a buffer lies in one word of this size. */
#define PYKIT_BEHIND_BYTES	8

/**
 * struct pykit_ring_chain - a chain, as it was added
 * @header_addr: where the device reads its header, 0 if that is not known
 * @header: its header, before it was added
 * @sum: check sum of its descriptors, packed: of its indirect table; 0 if they are not
 *	known
 * @table: packed: where its indirect table is
 * @table_bytes: packed: length of that
 * @behind_addr: where the bytes behind its last buffer are
 * @behind: these bytes
 * @num_behind: how many of them are compared
 * @reply_addr: where the device writes first, 0 if that is not known
 * @reply_bytes: length of that buffer
 * @at: split: position of its entry in the available ring
 */
struct pykit_ring_chain {
	u64 reply_addr;
	u64 header_addr;
	u8 header[PYKIT_HEADER_BYTES];
	u64 table;
	u64 behind_addr;
	u8 behind[PYKIT_BEHIND_BYTES];
	u32 reply_bytes;
	u32 table_bytes;
	u32 sum;
	u16 at;
	u8 num_behind;
};

/* What was altered, see @between of struct pykit_compared. */
#define TOUCHED_LOOKED	BIT(0)
#define TOUCHED_DESC	BIT(1)
#define TOUCHED_AREA	BIT(2)
#define TOUCHED_WITHIN	BIT(3)

/**
 * struct pykit_ring - a virtqueue's ring, as its observer keeps track
 * @vq: the core's virtqueue
 * @vqid: how trace events name it
 * @split: the split ring, NULL when packed
 * @packed: the packed ring, NULL when split
 * @driver: the packed ring's driver event area
 * @device: the packed ring's device event area
 * @size: number of descriptors
 * @num_queues: how many queues the device has
 * @is_packed: whether the ring is packed
 * @event_idx: whether EVENT_IDX was negotiated
 * @next_avail: idx of the available ring; packed: position of the next chain
 * @last_used: number of used entries taken; packed: position of the next one
 * @last_slots: packed: ring descriptors of the list that was taken last
 * @kick_idx: @next_avail at the last decision to notify
 * @slots: packed: ring descriptors of each outstanding buffer id, else 0
 * @chains: of each outstanding head or buffer id, what its chain was when it was added
 * @left: whether @event is what the driver left there
 * @event: what suppresses interrupts, as the driver left it
 * @event_flags: the flags of that
 * @used_idx: the device's idx when it had just been reset
 * @looked: whether the chain that is about to be taken was looked at
 * @refused: whether the core has refused a used entry
 * @is_back: whether @back is to be traced
 * @back: the chain that was taken last
 * @reply: what the device wrote first to the chain that is taken
 * @kept: the descriptors as the driver's last operation left them, NULL if the ring is
 *	not compared between its operations
 * @kept_area: the driver area, likewise
 * @is_kept: whether there was such an operation
 * @touched: what was altered since, as @between of struct pykit_compared
 * @touched_slot: the first descriptor of that
 * @descs: room for the longest chain, to read it into
 * @max_descs: length of @descs
 */
struct pykit_ring {
	struct virtqueue *vq;
	struct pykit_vq_id vqid;
	const struct vring *split;
	struct vring_packed_desc *packed;
	struct vring_packed_desc_event *driver;
	struct vring_packed_desc_event *device;
	unsigned int size;
	unsigned int num_queues;
	bool is_packed;
	bool event_idx;
	u16 next_avail;
	u16 last_used;
	u16 last_slots;
	u16 kick_idx;
	u16 *slots;
	struct pykit_ring_chain *chains;
	bool left;
	u16 event;
	u16 event_flags;
	u16 used_idx;
	bool looked;
	bool refused;
	bool is_back;
	struct pykit_compared back;
	struct pykit_first reply;
	void *kept;
	void *kept_area;
	bool is_kept;
	u8 touched;
	u16 touched_slot;
	struct pykit_desc *descs;
	unsigned int max_descs;
};

/**
 * struct pykit_sgs - what the core is asked to make available
 * @sgs: what the device reads, then what it writes
 * @out: how many scatterlists it reads
 * @in: how many it writes
 * @total: how many buffers they are
 * @slots: how many ring descriptors they take, one if an indirect table will do
 * @chain: what becomes of them
 * @first: where in the ring
 * @header: of a block device: what the device reads first
 * @has_header: whether there is so much to read
 * @opening: of other devices: what the device reads first
 * @event: what the device asked for before, if failed adds are traced
 * @flags: the flags before, likewise
 */
struct pykit_sgs {
	struct scatterlist **sgs;
	unsigned int out;
	unsigned int in;
	unsigned int total;
	unsigned int slots;
	struct pykit_chain chain;
	u16 first;
	u8 header[PYKIT_HEADER_BYTES];
	bool has_header;
	struct pykit_first opening;
	u16 event;
	u16 flags;
};

/**
 * pykit_ring_advance() - a position of a packed ring, further on
 * @r: the ring
 * @pos: the position
 * @slots: by how many descriptors
 *
 * Return: the position there.
 */
static inline u16 pykit_ring_advance(const struct pykit_ring *r, u16 pos,
				     u16 slots)
{
	u16 slot = (pos & ~PYKIT_WRAP) + slots;
	u16 wrap = pos & PYKIT_WRAP;

	if (slot >= r->size) {
		slot -= r->size;
		wrap ^= PYKIT_WRAP;
	}
	return slot | wrap;
}

/**
 * pykit_ring_took() - move past a used entry that the core has taken
 * @r: the ring, locked
 * @id: its id as it was read here; the core may have read another one since
 * @num_free: how many descriptors were free before
 */
static inline void pykit_ring_took(struct pykit_ring *r, u32 id,
				   unsigned int num_free)
{
	if (id < r->size) {
		r->chains[id].sum = 0;
		r->chains[id].header_addr = 0;
		r->chains[id].reply_addr = 0;
	}
	if (!r->is_packed) {
		r->last_used++;
		return;
	}
	/*
	 * The core frees what it gave the chain, whatever the device wrote. One that
	 * miscounts must not lead out of the ring.
	 */
	r->last_slots = min(r->vq->num_free - num_free, r->size);
	r->last_used = pykit_ring_advance(r, r->last_used, r->last_slots);
	if (id < r->size)
		r->slots[id] = 0;
}

void *pykit_ring_memory(struct virtio_device *vdev, u64 addr);
bool pykit_ring_read(struct virtio_device *vdev, u64 addr, void *to, size_t bytes);
int pykit_ring_init(struct pykit_ring *r, struct virtqueue *vq,
		    enum pykit_by by, unsigned int num_queues);
void pykit_ring_free(struct pykit_ring *r);
void pykit_ring_begin(struct pykit_ring *r);
bool pykit_ring_join(struct pykit_ring *r, u16 last_used);
void pykit_ring_end(struct pykit_ring *r, enum pykit_queue_op op);
void pykit_ring_before_add(struct pykit_ring *r, struct pykit_sgs *s);
void pykit_ring_after_add(struct pykit_ring *r, struct pykit_sgs *s);
void pykit_ring_add_failed(struct pykit_ring *r, const struct pykit_sgs *s, int err,
			   bool asked);
unsigned int pykit_ring_walk(struct pykit_ring *r, struct pykit_sgs *s);
void pykit_ring_before_kick(struct pykit_ring *r, struct pykit_kick *kick);
void pykit_ring_after_kick(struct pykit_ring *r, struct pykit_kick *kick,
			   bool needed);
void pykit_ring_trace_notify(struct pykit_ring *r);
void pykit_ring_trace_interrupt(struct pykit_ring *r, unsigned int irq);
void pykit_ring_trace_stray(struct pykit_ring *r, unsigned int irq);
bool pykit_ring_before_get(struct pykit_ring *r, struct pykit_used *used);
void pykit_ring_look(struct pykit_ring *r, const struct pykit_used *used);
void pykit_ring_mended(struct pykit_ring *r);
void pykit_ring_after_get(struct pykit_ring *r, struct pykit_used *used,
			  bool accepted, unsigned int num_free);
void pykit_ring_read_used(struct pykit_ring *r, struct pykit_used *used);
void pykit_ring_callback(struct pykit_ring *r, bool enable, bool pending);
void pykit_ring_detached(struct pykit_ring *r, unsigned int num_free);
void pykit_ring_still_before(struct pykit_ring *r);
void pykit_ring_still_after(struct pykit_ring *r);
void pykit_ring_trace_broken(struct pykit_ring *r, enum pykit_queue_op op);
int pykit_ring_watch(struct pykit_ring *r);
void pykit_ring_enter(struct pykit_ring *r);
void pykit_ring_leave(struct pykit_ring *r);

typedef irqreturn_t pykit_irq_handler(int irq, void *vq);

irqreturn_t pykit_irq_came(int irq, struct virtqueue *vq);
void pykit_irq_lead(pykit_irq_handler *to);

#endif /* PYKIT_RING_H */
