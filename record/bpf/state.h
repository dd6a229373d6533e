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

/* What the core is asked to make available, and where a walk over that is. */
struct buffers {
	u64 lists;	/* array of scatterlists */
	u64 first;	/* entry of the only one, or 0 */
	u64 sg;		/* entry, 0: a list is at its end */
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
	u16 slots;
	u16 first;
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
	u32 detach_free;
	u8 hears;
	u8 traced;

	/* packed: ring descriptors of each outstanding buffer id, else 0 */
	u16 outstanding[MAX_DESCS];
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

static __always_inline bool is_broken(u64 vq)
{
	return MEMBER(vring_virtqueue, vq, broken) & 1;
}

#endif /* RECORD_STATE_H */
