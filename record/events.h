/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The events of the recorder, field by field: those of the probe, with the same names,
 * widths and places (kernel/include/trace/events/pykit.h). One list makes the structures
 * that the BPF programs fill and the formats that the file has; a test compares it with
 * the formats of the kernel modules.
 */
#ifndef RECORD_EVENTS_H
#define RECORD_EVENTS_H

/* Value of the field "by": enum pykit_by has 0 and 1. */
#define BY_RECORD	2

#define EVENTS(EVENT)								\
	EVENT(driver, F(u32, dev) F(u32, id) F(s32, err) F(u8, stage) F(u8, by))	\
	EVENT(features, F(u64, offered) F(u64, driver) F(u64, acked) F(u32, dev)	\
	      F(u8, stage) F(u8, by))						\
	EVENT(status, F(u32, dev) F(u8, status) F(u8, op) F(u8, by))		\
	EVENT(config, F(u64, value) F(u32, dev) F(u32, offset) F(u32, len)	\
	      F(u8, write) F(u8, by))						\
	EVENT(generation, F(u32, dev) F(u32, generation) F(u8, by))		\
	EVENT(config_change, F(u32, dev) F(u8, status) F(u8, by))		\
	EVENT(queue, F(u64, desc) F(u64, avail) F(u64, used) F(u32, dev) F(u32, seq)	\
	      F(u32, size) F(u16, vq) F(u16, num_queues) F(u16, avail_flags)	\
	      F(u16, avail_idx) F(u16, used_flags) F(u16, used_idx) F(u8, layout)	\
	      F(u8, op) F(u8, by))						\
	EVENT(add, F(u64, before) F(u64, readable) F(u64, writable) F(u32, dev)	\
	      F(u32, seq) F(u32, chain) F(u32, num_free) F(u16, vq) F(u16, head)	\
	      F(u16, avail_idx) F(u16, slots) F(u16, used_idx) F(u8, indirect)	\
	      F(u8, by))							\
	EVENT(desc, F(u64, addr) F(u32, dev) F(u32, seq) F(u32, len) F(u16, vq)	\
	      F(u16, head) F(u16, slot) F(u16, flags) F(u16, next) F(u16, pos)	\
	      F(u8, table) F(u8, by))						\
	EVENT(slot, F(u64, addr) F(u32, dev) F(u32, seq) F(u32, len) F(u16, vq)	\
	      F(u16, head) F(u16, slot) F(u16, id) F(u16, flags) F(u16, pos)	\
	      F(u8, by))							\
	EVENT(add_failed, F(u32, dev) F(u32, seq) F(s32, err) F(u32, chain)	\
	      F(u32, num_free) F(u16, vq) F(u16, slots) F(u16, old) F(u16, new)	\
	      F(u16, event) F(u16, event_after) F(u16, flags) F(u16, flags_after)	\
	      F(u8, event_idx) F(u8, notified) F(u8, by))			\
	EVENT(kick, F(u32, dev) F(u32, seq) F(u16, vq) F(u16, old) F(u16, new)	\
	      F(u16, event) F(u16, event_after) F(u16, flags) F(u16, flags_after)	\
	      F(u8, event_idx) F(u8, needed) F(u8, by))				\
	EVENT(notify, F(u32, dev) F(u32, seq) F(u16, vq) F(u8, by))		\
	EVENT(interrupt, F(u32, dev) F(u32, seq) F(u32, irq) F(u16, vq)		\
	      F(u16, used_idx) F(u16, last_used) F(u8, by))			\
	EVENT(stray, F(u32, dev) F(u32, seq) F(u32, irq) F(u16, vq)		\
	      F(u16, used_idx) F(u16, last_used) F(u8, by))			\
	EVENT(used, F(u32, dev) F(u32, seq) F(u32, id) F(u32, len) F(u16, vq)	\
	      F(u16, index) F(u16, used_idx) F(u16, flags) F(u16, event)		\
	      F(u16, event_flags) F(u8, accepted) F(u8, by))			\
	EVENT(compared, F(u32, dev) F(u32, seq) F(u32, id) F(u32, len) F(u16, vq)	\
	      F(u16, index) F(u16, head) F(u16, changed) F(u16, driver_area)	\
	      F(u16, slot) F(u8, header) F(u8, behind) F(u8, table)		\
	      F(u8, between) F(u8, by))						\
	EVENT(callback, F(u32, dev) F(u32, seq) F(u16, vq) F(u16, avail_flags)	\
	      F(u16, used_event) F(u16, last_used) F(u16, used_idx)		\
	      F(u8, event_idx) F(u8, enable) F(u8, pending) F(u8, by))		\
	EVENT(detach, F(u32, dev) F(u32, seq) F(u32, num_free) F(u16, vq)		\
	      F(u16, slots) F(u8, by))						\
	EVENT(opening, F(u64, first) F(u64, second) F(u64, third) F(u32, dev)	\
	      F(u32, seq) F(u16, vq) F(u16, head) F(u16, got) F(u8, by))	\
	EVENT(blk_start, F(u64, sector) F(u64, status_addr) F(u64, bytes)	\
	      F(u32, dev) F(u32, seq) F(u32, type) F(u16, vq) F(u16, head)	\
	      F(u16, segments) F(u8, by))					\
	EVENT(blk_range, F(u64, sector) F(u32, dev) F(u32, seq) F(u32, sectors)	\
	      F(u32, flags) F(u16, vq) F(u16, head) F(u16, pos) F(u8, by))	\
	EVENT(blk_answer, F(u64, first) F(u64, second) F(u64, third) F(u32, dev)	\
	      F(u32, seq) F(u32, type) F(u16, vq) F(u16, head) F(u16, got)	\
	      F(u8, by))							\
	EVENT(blk_zone, F(u64, start) F(u64, capacity) F(u64, wp) F(u32, dev)	\
	      F(u32, seq) F(u16, vq) F(u16, head) F(u16, pos) F(u8, z_type)	\
	      F(u8, z_state) F(u8, by))						\
	EVENT(blk_done, F(u64, sector) F(u32, dev) F(u32, seq) F(u32, type)	\
	      F(u32, len) F(u16, vq) F(u16, head) F(u8, status) F(u8, by))

#define F(type, name)		type name;
#define EVENT(name, fields)	struct ev_##name { fields };
EVENTS(EVENT)
#undef EVENT
#undef F

/* Numbers of the events in the file, and of a chain that becomes several of them. */
enum kind {
	KIND_CHAIN,
#define EVENT(name, fields)	KIND_##name,
	EVENTS(EVENT)
#undef EVENT
	KINDS,
};

#endif /* RECORD_EVENTS_H */
