/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs hand to the recorder.
 */
#ifndef RECORD_SHARED_H
#define RECORD_SHARED_H

#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;

#include "events.h"

/* Begins every record: an event follows, or what makes the events of a chain. */
struct head {
	u64 ts;		/* ns, CLOCK_MONOTONIC */
	s32 pid;
	u16 cpu;
	u16 kind;
};

/* A descriptor of a split ring or table; a packed one has the two last fields swapped. */
struct raw_desc {
	u64 addr;
	u32 len;
	u16 flags;
	u16 next;
};

/* Descriptors of a chain that are recorded: as many as a ring of 1024 has, and its table's. */
#define MAX_DESCS	1026

/*
 * A chain that was made available: becomes an event add and one of each descriptor, whose
 * numbers begin with that of the add. In front are those of the ring in the order of the
 * walk, then the table as it stands in memory. Of a chain in a packed ring of which the device
 * has overwritten something, the lengths that the core was asked for stand there instead.
 */
struct chain {
	struct head h;
	struct ev_add add;
	u16 ring;	/* descriptors of the ring */
	u16 table;	/* descriptors of the table that follow */
	u16 walked;	/* descriptors of the table that its chain has */
	u16 first;	/* packed: position of the first one */
	u32 size;	/* of the ring */
	u8 packed;
	u8 spare[3];
	struct raw_desc descs[MAX_DESCS];
};

/* Variables of the kernel's that say where memory is, by their addresses; 0: it has none. */
struct layout {
	u64 direct;	/* page_offset_base: all memory, as one */
	u64 pages;	/* vmemmap_base: the struct page of each of its pages */
};

/* Reasons for a loss, by index in the map "losses". */
enum loss {
	LOST_FULL,	/* no room in the ring buffer */
	LOST_QUEUES,	/* more queues than there is room for */
	LOST_LONG,	/* a chain longer than MAX_DESCS */
	LOST_NOTIFY,	/* a decision that was not seen */
	LOST_READS,	/* memory of a ring or a request that could not be read */
	LOST_RETURNS,	/* the return from an operation that was not seen, or not distinguished */
	LOSSES,
};

/* Operations of a transport, by their place in struct virtio_config_ops. */
enum op {
	OP_GET,
	OP_SET,
	OP_GENERATION,
	OP_GET_STATUS,
	OP_SET_STATUS,
	OP_RESET,
	OP_FIND_VQS,
	OP_DEL_VQS,
	OP_GET_FEATURES,
	OP_GET_EXTENDED,
	OP_FINALIZE,
	OP_DISABLE_VQ,
	OP_ENABLE_VQ,
	OPS,
	/* Functions of the core that are hooked the same way. */
	OP_PROBE = OPS,
	OP_REMOVE,
	OP_FREEZE,
	OP_RESTORE,
	OP_CONFIG_CHANGED,
	OP_BREAK,
	OP_UNBREAK,
	OP_BREAK_ALL,
	OP_UNBREAK_ALL,
	OP_DEL_QUEUE,
};

/* What the program "look" is asked for, and answers. */
struct look {
	u64 table;		/* address of a struct virtio_config_ops */
	u64 functions[OPS];
};

#endif /* RECORD_SHARED_H */
