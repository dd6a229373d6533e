/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks in what a device is to write: in the last eight bytes of each sector of a
 * request's data and in the last eight bytes of all. A mark differs from request to
 * request and from place to place. One that is still there afterwards was not written
 * over: that data has the same eight bytes there by chance is as likely as to guess it.
 */
#ifndef PYKIT_MARKS_H
#define PYKIT_MARKS_H

#include <linux/blk_types.h>
#include <linux/hash.h>
#include <linux/minmax.h>

#define PYKIT_MARK_BYTES	sizeof(u64)

/* A status that no device writes, as there was before. */
#define PYKIT_BLK_UNWRITTEN	0xff

/* Each of the bytes behind the status, where no side uses them. */
#define PYKIT_BLK_BEHIND	0x5a

/**
 * struct pykit_piece - a part of the data that ends with a mark
 * @end: where it ends
 * @whole: whether its mark is in one piece in memory
 */
struct pykit_piece {
	u64 end;
	bool whole;
};

/**
 * pykit_next_piece() - go on to the next piece that ends in a buffer
 * @first: where in the data the buffer begins
 * @last: where it ends
 * @bytes: length of the data
 * @piece: the piece before, all zero at first
 *
 * Return: whether there is one; else it ends in a buffer behind.
 */
static inline bool pykit_next_piece(u64 first, u64 last, u64 bytes, struct pykit_piece *piece)
{
	u64 end = min(round_down(max(piece->end, first), SECTOR_SIZE) + SECTOR_SIZE, bytes);

	if (piece->end >= end || end > last)
		return false;
	piece->whole = end >= first + PYKIT_MARK_BYTES;
	piece->end = end;
	return true;
}

static inline u64 pykit_mark_at(u64 mark, u64 end)
{
	return mark ^ hash_64(end, 64);
}

#endif /* PYKIT_MARKS_H */
