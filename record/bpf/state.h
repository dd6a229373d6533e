/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs keep of queues and devices, and how a record is handed over.
 *
 * A driver serialises its operations on a queue, all but notifying: what stands between the
 * entry to an operation and the return from it is kept with the queue, without a lock.
 */
#ifndef RECORD_STATE_H
#define RECORD_STATE_H

#define MAX_QUEUES	256
#define MAX_DEVICES	256
#define MAX_INSIDE	1024
#define MAX_ANSWERS	1024

/* Buffers of a chain that are noted, as the probe does. */
#define MAX_PIECES	64
/* The most that is read from them at once. */
#define MAX_READ	32
/* What a block request begins with. */
#define HEADER_BYTES	16

/* A position of a packed ring: slot below, wrap counter on top. */
#define WRAP		0x8000

/* Operations on callbacks, and the one that gives back a chain: an interrupt may nest two. */
enum { CALL_DISABLE, CALL_PREPARE, CALL_POLL, CALL_DELAYED, CALL_DETACH, CALLS };

/* A used entry that is about to be taken. */
struct taken {
	u32 id;
	u32 len;
	u16 index;
	u16 used_idx;
	u16 flags;
	u8 there;
};

/* A buffer: where it is in the kernel's memory (0: not known), and its length. */
struct piece {
	u64 at;
	u64 len;
};

/* What the core was asked for: first what the device reads, then what it writes. */
struct pieces {
	u64 writable;	/* bytes */
	u32 outs;	/* buffers that it reads */
	u32 count;
	struct piece piece[MAX_PIECES];
};

/* A read over such buffers. */
struct reading {
	u64 skip;	/* bytes in front of it */
	u32 next;	/* buffer */
	u32 end;
	u32 wanted;
	u32 done;
	u8 bytes[2 * MAX_READ];
};

/* What is made of a chain's descriptors, one after the other. */
struct sums {
	u64 hash;
	u64 readable;
	u64 writable;
	u64 first;	/* address of the first buffer */
	u64 last;	/* of the last byte that the device writes */
	u32 count;
};

/* What a chain was when it was added, by its head or buffer id, until it is taken. */
struct held {
	u64 header_at;	/* where the device reads its header, 0: not known */
	u64 status_at;	/* of a block request that was recorded, else 0 */
	u8 header[HEADER_BYTES];
	u32 sum;	/* of its descriptors; packed: of its table; 0: not known */
	u16 at;		/* split: position of its entry in the available ring */
	u16 table;	/* packed: descriptors of its table */
};

/* What the core is asked to make available, and where a walk over that is. */
struct buffers {
	u64 lists;	/* array of scatterlists */
	u64 first;	/* entry of the only one, or 0 */
	u64 sg;		/* entry, 0: a list is at its end */
	u64 last;	/* last byte that the device writes, 0: not known */
	u64 readable;	/* bytes */
	u64 writable;
	u32 count;	/* of lists */
	u32 out;	/* of them, those that the device reads */
	u32 next;	/* list */
	u32 total;	/* entries so far */
	u8 end;
};

struct queue {
	u64 vq;
	u64 desc;		/* where the ring is in the kernel's memory; packed: the ring, */
	u64 avail;		/* the driver event area, */
	u64 used;		/* the device event area */
	u64 states;		/* what the core keeps of each head */
	u64 direct;		/* where all memory is, and the struct page of each page */
	u64 pages;
	u32 dev;
	u32 seq;		/* number of the last event */
	u32 size;
	u32 fence;
	u16 index;
	u16 num_queues;
	u16 next_avail;
	u16 last_used;
	u16 kick_idx;
	u8 packed;
	u8 event_idx;
	u8 indirect;
	u8 in_order;
	u8 blk;
	u8 platform;		/* addresses may be other than the memory's */
	u8 rings;		/* the function that notifies the device is hooked */

	/* An operation under way: the task, 0 for none. */
	u64 adding;
	u64 kicking;
	u64 deciding;
	u64 taking;
	u64 enabling;
	u64 handling;	/* an interrupt */
	u64 calling[CALLS];

	/* of an add */
	struct buffers buffers;
	u64 before;
	u32 total;
	u32 num_free;
	u32 walk_slot;
	u8 walk_indirect;
	u8 walk_overwritten;
	u8 walk_lost;		/* why the walk does not have all, else 0 */
	u16 got;		/* bytes of what the device reads first */
	u64 opening[3];		/* these */
	struct sums sums;
	struct pieces pieces;
	struct reading reading;
	u16 slots;
	u16 first;
	u16 add_used_idx;
	u16 add_head;	/* that the core takes next */
	u16 add_event;
	u16 add_flags;
	u8 notified;

	/* of a decision */
	u8 decided;
	u16 kick_event;
	u16 kick_flags;

	/* of a used entry, of an interrupt, of a chain that is given back */
	struct taken taken;
	u32 taken_free;
	u16 last_slots;		/* packed: ring descriptors of the chain that was taken last */
	u16 stray;		/* position that is looked at */
	u8 status;
	u8 ends;		/* a block request does, with this status */
	u16 range;		/* of it, or zone, that is next */
	u32 detach_free;
	u8 hears;
	u8 traced;

	/* What suppresses interrupts, as the driver left it. */
	u8 left;
	u16 left_event;
	u16 left_flags;

	/* The chain that was taken last, as it was compared. */
	struct ev_compared back;
	u8 looked;
	u8 is_back;
	u8 touched;

	/* packed: ring descriptors of each outstanding buffer id, else 0 */
	u16 outstanding[MAX_DESCS];
	struct held held[MAX_DESCS];
	struct chain chain;
};

struct device_state {
	u64 offered;
	u8 offers;	/* offered is known */
	u8 begun;	/* the first features of a negotiation are still to come */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_QUEUES);
	__type(key, u64);
	__type(value, struct queue);
} queues SEC(".maps");

/* Too large for a stack: what a new queue begins as. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct queue);
} blank SEC(".maps");

struct {
	/* Those that are gone make room. */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_DEVICES);
	__type(key, u64);
	__type(value, struct device_state);
} devices SEC(".maps");

/* The functions by which transports notify, as far as they are hooked. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, u64);
	__type(value, u32);
} notifiers SEC(".maps");

struct answer_key {
	u64 vq;
	u64 head;
};

/* Where block devices are to write what is recorded of their answers. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ANSWERS);
	__type(key, struct answer_key);
	__type(value, struct pieces);
} answers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct layout);
} layouts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LOSSES);
	__type(key, u32);
	__type(value, u64);
} losses SEC(".maps");

static __always_inline void lose(u32 reason, u64 count)
{
	u64 *lost = bpf_map_lookup_elem(&losses, &reason);

	if (lost)
		__sync_fetch_and_add(lost, count);
}

static __always_inline void fill_head(struct head *h, u16 kind)
{
	h->ts = bpf_ktime_get_ns();
	h->pid = bpf_get_current_pid_tgid();
	h->cpu = bpf_get_smp_processor_id();
	h->kind = kind;
}

/* Reserve the record of an event; the number is spent before, so that a loss is a gap. */
#define RESERVE(name) ({							\
	struct { struct head h; struct ev_##name e; } *__r =			\
		bpf_ringbuf_reserve(&records, sizeof(*__r), 0);			\
	if (__r) {								\
		__builtin_memset(&__r->e, 0, sizeof(__r->e));			\
		fill_head(&__r->h, KIND_##name);				\
		__r->e.by = BY_RECORD;						\
	} else {								\
		lose(LOST_FULL, 1);						\
	}									\
	__r ? &__r->e : NULL; })

#define RESERVE_VQ(name, q) ({							\
	u32 __seq = __sync_fetch_and_add(&(q)->seq, 1) + 1;			\
	struct ev_##name *__e = RESERVE(name);					\
	if (__e) {								\
		__e->dev = (q)->dev;						\
		__e->vq = (q)->index;						\
		__e->seq = __seq;						\
	}									\
	__e; })

#define SUBMIT(e)	bpf_ringbuf_submit((void *)(e) - sizeof(struct head), 0)

/* Which thread of control this is. The idle tasks of two CPUs are two tasks, too. */
static __always_inline u64 self(void)
{
	return bpf_get_current_task();
}

/* Note an operation. One that another thread is inside of cannot be distinguished. */
static __always_inline void begins(u64 *operation)
{
	if (*operation && *operation != self())
		lose(LOST_RETURNS, 1);
	*operation = self();
}

/*
 * Whether a return is from an operation that this thread has entered. One operation may be hooked
 * twice, inside itself: where the probe leads it to a function of its own, which calls it.
 */
static __always_inline bool ends(u64 *operation)
{
	if (*operation != self())
		return false;
	*operation = 0;
	return true;
}

#define READ(to, from)	bpf_probe_read_kernel(&(to), sizeof(to), (void *)(from))

/*
 * A member of a structure of the kernel, at an address: 0 where it cannot be read. The address is
 * taken first: it may come from a structure of ours, which the kernel's BTF does not have.
 */
#define MEMBER(type, address, member...)					\
({ u64 __at = (u64)(address); (u64)BPF_CORE_READ((struct type *)__at, member); })

#define PLACE(type, member)	bpf_core_field_offset(struct type, member)

static __always_inline struct held *held_of(struct queue *q, u32 head)
{
	return head < q->size && head < MAX_DESCS ? &q->held[head] : NULL;
}

static __always_inline bool is_broken(u64 vq)
{
	return MEMBER(vring_virtqueue, vq, broken) & 1;
}

#endif /* RECORD_STATE_H */
