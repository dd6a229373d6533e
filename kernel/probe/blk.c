// SPDX-License-Identifier: GPL-2.0-only
/*
 * Block requests, read from their chains: what the device reads first is the
 * header, the last byte that it writes is the status. Requests that cannot be read
 * are not traced.
 *
 * With canaries, what the device is to write is marked before it is made available.
 * What is there then is nobody's: no driver expects it to be there afterwards.
 */
#include <linux/crc32.h>
#include <linux/overflow.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/virtio_blk.h>

#include <pykit_data.h>
#include <pykit_passed.h>

#include "../common/marks.h"
#include "pykit_probe.h"

/* By number: not every kernel has a name for them. */
#define T_GET_LIFETIME	10
#define T_ZONE_APPEND	15
#define T_ZONE_REPORT	16
/* A report's header, and each zone in it. */
#define ZONE_BYTES	64

/* Where what the device wrote is looked for: requests rarely have more buffers. */
#define MAX_PIECES	64
/* So much of the data is read at once. */
#define CHUNK_BYTES	512
/* Zones of a report for which there are events. */
#define MAX_ZONES	256

/**
 * struct pykit_probe_piece - a buffer that the device writes
 * @addr: its address, as the device uses it
 * @len: its length, without the status byte
 */
struct pykit_probe_piece {
	u64 addr;
	u32 len;
};

/**
 * struct pykit_probe_req - a block request under way
 * @end: what is traced when it ends
 * @status_addr: where its status byte is, as the device addresses it
 * @writable: bytes that the device may write
 * @pieces: where what the device writes is, if it is looked at
 * @num_pieces: how many of them there are
 * @mark: what the data was marked with, 0 if it was not
 * @bytes: length of the data that was marked
 * @began: when it began, by the disk's time
 * @written: sectors that it writes
 * @started: whether it was seen to start
 */
struct pykit_probe_req {
	struct pykit_blk_end end;
	u64 status_addr;
	u64 writable;
	struct pykit_probe_piece pieces[MAX_PIECES];
	u8 num_pieces;
	u64 mark;
	u64 bytes;
	u32 began;
	u64 written;
	bool started;
};

/**
 * struct pykit_probe_blk - requests of a queue
 * @size: how many there may be
 * @mark: of the request that is being added, 0 if its data is not marked
 * @bytes: length of that data
 * @began: when that request began, by the disk's time
 * @sector: the first sector that it writes
 * @written: how many sectors it writes
 * @padded: what the driver has behind a status, up to the end of the word, is unused
 * @data: what the disk holds, NULL if that is not followed
 * @chunk: room for a part of the data
 * @reqs: by head
 */
struct pykit_probe_blk {
	unsigned int size;
	u64 mark;
	u64 bytes;
	u32 began;
	u64 sector;
	u64 written;
	bool padded;
	struct pykit_data *data;
	u8 chunk[CHUNK_BYTES];
	struct pykit_probe_req reqs[];
};

/**
 * pykit_probe_blk_alloc() - prepare to keep requests
 * @r: ring of their queue
 *
 * Return: room for them, NULL if there is no memory.
 */
struct pykit_probe_blk *pykit_probe_blk_alloc(const struct pykit_ring *r)
{
	struct pykit_probe_blk *blk;

	blk = kvzalloc(struct_size(blk, reqs, r->size), GFP_KERNEL);
	if (!blk)
		return NULL;
	blk->size = r->size;
	if (!pykit_probe_canaries)
		return blk;
	/* Of struct virtblk_req that is padding, or a field that appends alone have. */
	blk->padded = !strcmp(r->vq->vdev->dev.driver->name, "virtio_blk");
	blk->data = pykit_data_get(r->vq->vdev);
	if (blk->data)
		return blk;
	kvfree(blk);
	return NULL;
}

/**
 * pykit_probe_blk_free() - keep requests no more
 * @blk: room for them, or NULL
 */
void pykit_probe_blk_free(struct pykit_probe_blk *blk)
{
	if (blk)
		pykit_data_put(blk->data);
	kvfree(blk);
}

/**
 * struct pykit_probe_reader - reads on in what a chain gives the device to read
 * @vdev: the device
 * @desc: the descriptor that is read from
 * @end: behind the last one
 * @offset: where in its buffer
 */
struct pykit_probe_reader {
	struct virtio_device *vdev;
	const struct pykit_desc *desc;
	const struct pykit_desc *end;
	u32 offset;
};

static bool pykit_probe_is_table(const struct pykit_desc *desc)
{
	return !desc->table && desc->flags & VRING_DESC_F_INDIRECT;
}

static bool pykit_probe_read_on(struct pykit_probe_reader *from, void *to, u32 bytes)
{
	while (bytes) {
		const struct pykit_desc *desc = from->desc;
		u32 some;

		if (desc == from->end)
			return false;
		if (pykit_probe_is_table(desc) || desc->flags & VRING_DESC_F_WRITE ||
		    from->offset == desc->len) {
			from->desc++;
			from->offset = 0;
			continue;
		}
		some = min(bytes, desc->len - from->offset);
		if (!pykit_ring_read(from->vdev, desc->addr + from->offset, to, some))
			return false;
		to += some;
		bytes -= some;
		from->offset += some;
	}
	return true;
}

static bool pykit_probe_has_ranges(u32 type)
{
	return type == VIRTIO_BLK_T_DISCARD ||
	       type == VIRTIO_BLK_T_WRITE_ZEROES ||
	       type == VIRTIO_BLK_T_SECURE_ERASE;
}

static void pykit_probe_trace_ranges(struct pykit_probe_queue *q, struct pykit_probe_reader *from,
				     const struct pykit_blk *blk)
{
	struct virtio_blk_discard_write_zeroes range;
	u16 i;

	for (i = 0; i < blk->segments && pykit_probe_read_on(from, &range, sizeof(range)); i++)
		pykit_trace_vq(blk_range, &q->ring.vqid, blk->head, i,
			       le64_to_cpu(range.sector),
			       le32_to_cpu(range.num_sectors),
			       le32_to_cpu(range.flags));
}

/* Requests whose answer is traced: see the event blk_answer. */
static bool pykit_probe_has_answer(u32 type)
{
	switch (type) {
	case VIRTIO_BLK_T_GET_ID:
	case T_GET_LIFETIME:
	case T_ZONE_APPEND:
	case T_ZONE_REPORT:
		return true;
	default:
		return false;
	}
}

static void pykit_probe_note_pieces(struct pykit_probe_req *req, const struct pykit_desc *descs,
				    unsigned int count)
{
	u16 wanted = req->end.type == VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE;
	unsigned int i;

	req->num_pieces = 0;
	for (i = 0; i < count && req->num_pieces < MAX_PIECES; i++) {
		struct pykit_probe_piece *piece = &req->pieces[req->num_pieces];

		if (pykit_probe_is_table(&descs[i]) ||
		    (descs[i].flags & VRING_DESC_F_WRITE) != wanted)
			continue;
		piece->addr = descs[i].addr;
		piece->len = descs[i].len;
		if (piece->addr + piece->len - 1 == req->status_addr)
			piece->len--;
		req->num_pieces++;
	}
}

/* Length of what the device writes before the status, or before what stands there with it. */
static u64 pykit_probe_data_bytes(const struct pykit_probe_queue *q, const struct pykit_sgs *s)
{
	const struct virtio_blk_outhdr *hdr = (const void *)s->header;
	u64 tail = 1;

	if (s->has_header && virtio32_to_cpu(q->ring.vq->vdev, hdr->type) == T_ZONE_APPEND)
		tail += sizeof(u64);
	return s->chain.writable > tail ? s->chain.writable - tail : 0;
}

/* The data of a write, behind its header. */
static void pykit_probe_sum_write(struct pykit_probe_queue *q, const struct pykit_sgs *s)
{
	struct pykit_probe_blk *blk = q->blk;
	struct pykit_data_walk walk = {
		.data = blk->data,
		.step = PYKIT_DATA_BEGINS,
		.began = blk->began,
		.sector = blk->sector,
	};
	u64 skip = PYKIT_HEADER_BYTES;
	struct scatterlist *sg;
	unsigned int i;

	for (i = 0; i < s->out; i++) {
		for (sg = s->sgs[i]; sg; sg = sg_next(sg)) {
			u64 at = min_t(u64, skip, sg->length);

			skip -= at;
			while (at < sg->length) {
				u32 some = min_t(u64, sg->length - at, CHUNK_BYTES);

				sg_pcopy_to_buffer(sg, 1, blk->chunk, some, at);
				pykit_data_go_on(&walk, blk->chunk, some);
				at += some;
			}
		}
	}
}

/* Reads what the device is to read; returns whether there is so much. */
static bool pykit_probe_read_out(const struct pykit_sgs *s, void *to, u32 bytes, u64 skip)
{
	struct scatterlist *sg;
	unsigned int i;

	for (i = 0; i < s->out; i++) {
		for (sg = s->sgs[i]; sg && bytes; sg = sg_next(sg)) {
			u32 some = skip < sg->length ? min_t(u64, bytes, sg->length - skip) : 0;

			sg_pcopy_to_buffer(sg, 1, to, some, skip);
			skip -= some ? skip : sg->length;
			to += some;
			bytes -= some;
		}
	}
	return !bytes;
}

/* What is zeroed or discarded is not known any more. */
static void pykit_probe_note_ranges(struct pykit_probe_queue *q, const struct pykit_sgs *s)
{
	struct virtio_blk_discard_write_zeroes range;
	u64 at = PYKIT_HEADER_BYTES;

	for (; pykit_probe_read_out(s, &range, sizeof(range), at); at += sizeof(range))
		pykit_data_spoil(q->blk->data, le64_to_cpu(range.sector),
				 le32_to_cpu(range.num_sectors));
}

/* A request is about to be made available: note what it changes on the disk. */
static void pykit_probe_note_change(struct pykit_probe_queue *q, const struct pykit_sgs *s)
{
	struct virtio_device *vdev = q->ring.vq->vdev;
	const struct virtio_blk_outhdr *hdr = (const void *)s->header;
	struct pykit_probe_blk *blk = q->blk;
	u32 type;

	blk->began = pykit_data_now(blk->data);
	blk->written = 0;
	if (!s->has_header)
		return;
	type = virtio32_to_cpu(vdev, hdr->type);
	switch (type) {
	case VIRTIO_BLK_T_OUT:
		blk->sector = virtio64_to_cpu(vdev, hdr->sector);
		blk->written = s->chain.readable / SECTOR_SIZE;
		blk->began = pykit_data_write(blk->data, blk->sector, blk->written);
		pykit_probe_sum_write(q, s);
		break;
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_FLUSH:
	case VIRTIO_BLK_T_GET_ID:
	case T_GET_LIFETIME:
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
	case VIRTIO_BLK_T_SECURE_ERASE:
		pykit_probe_note_ranges(q, s);
		break;
	default:
		/* What it changes is not looked at. */
		pykit_data_forget(blk->data);
	}
}

/* There are zeroes, as in a status that says that all went well. */
static void pykit_probe_mark_behind(struct scatterlist *status)
{
	u8 *end = (u8 *)sg_virt(status) + status->length;

	memset(end, PYKIT_BLK_BEHIND, -(unsigned long)end & (PYKIT_BEHIND_BYTES - 1));
}

/**
 * pykit_probe_blk_mark() - a request is about to be made available: mark what it asks for
 * @q: its queue
 * @s: the request, after pykit_ring_before_add()
 */
void pykit_probe_blk_mark(struct pykit_probe_queue *q, const struct pykit_sgs *s)
{
	static const u8 unwritten = PYKIT_BLK_UNWRITTEN;
	struct pykit_probe_blk *blk = q->blk;
	struct pykit_piece piece = { };
	struct scatterlist *sg, *last = NULL;
	unsigned int i, buffers = 0;
	u64 first = 0;

	blk->mark = 0;
	blk->bytes = pykit_probe_data_bytes(q, s);
	pykit_probe_note_change(q, s);
	for (i = s->out; i < s->out + s->in; i++)
		for (sg = s->sgs[i]; sg; sg = sg_next(sg), buffers++)
			last = sg;
	if (!last || !last->length)
		return;
	sg_pcopy_from_buffer(last, 1, &unwritten, sizeof(unwritten), last->length - 1);
	if (blk->padded)
		pykit_probe_mark_behind(last);
	if (!trace_pykit_blk_wrote_enabled() || !blk->bytes || buffers > MAX_PIECES)
		return;
	blk->mark = get_random_u64() | 1;
	for (i = s->out; i < s->out + s->in; i++) {
		for (sg = s->sgs[i]; sg; first += sg->length, sg = sg_next(sg)) {
			while (pykit_next_piece(first, first + sg->length, blk->bytes, &piece)) {
				u64 mark = pykit_mark_at(blk->mark, piece.end);

				if (piece.whole)
					sg_pcopy_from_buffer(sg, 1, &mark, sizeof(mark),
							     piece.end - sizeof(mark) - first);
			}
		}
	}
}

/**
 * pykit_probe_blk_unmark() - a request was not made available after all
 * @q: its queue, after pykit_probe_blk_mark()
 */
void pykit_probe_blk_unmark(struct pykit_probe_queue *q)
{
	if (q->blk->data)
		pykit_data_end(q->blk->data, q->blk->sector, q->blk->written);
}

/**
 * pykit_probe_blk_start() - a request was made available
 * @q: its queue
 * @s: what was made available
 * @count: how many descriptors of it there are in the ring's descs
 */
void pykit_probe_blk_start(struct pykit_probe_queue *q, const struct pykit_sgs *s,
			   unsigned int count)
{
	struct virtio_device *vdev = q->ring.vq->vdev;
	const struct pykit_desc *descs = q->ring.descs;
	struct pykit_probe_reader from = {
		.vdev = vdev,
		.desc = descs,
		.end = descs + count,
	};
	u64 readable = 0, writable = 0;
	struct virtio_blk_outhdr hdr;
	struct pykit_probe_req *req;
	u16 head = s->chain.head;
	struct pykit_blk blk = { .head = head };
	unsigned int i;

	if (head >= q->blk->size)
		return;
	req = &q->blk->reqs[head];
	req->started = false;
	for (i = 0; i < count; i++) {
		if (pykit_probe_is_table(&descs[i]))
			continue;
		if (!(descs[i].flags & VRING_DESC_F_WRITE)) {
			readable += descs[i].len;
			continue;
		}
		writable += descs[i].len;
		blk.status_addr = descs[i].addr + descs[i].len - 1;
	}
	if (!writable || !pykit_probe_read_on(&from, &hdr, sizeof(hdr)))
		return;
	/* The device may have written there since. */
	if (s->has_header)
		memcpy(&hdr, s->header, sizeof(hdr));

	blk.sector = virtio64_to_cpu(vdev, hdr.sector);
	blk.type = virtio32_to_cpu(vdev, hdr.type);
	blk.bytes = readable - sizeof(hdr) + writable - 1;
	/* The sector where the data went is not data. */
	if (blk.type == T_ZONE_APPEND && writable > sizeof(u64))
		blk.bytes -= sizeof(u64);
	if (pykit_probe_has_ranges(blk.type))
		blk.segments = blk.bytes / sizeof(struct virtio_blk_discard_write_zeroes);
	pykit_trace_vq(blk_start, &q->ring.vqid, &blk);
	pykit_probe_trace_ranges(q, &from, &blk);
	req->started = pykit_ring_memory(vdev, blk.status_addr);
	req->status_addr = blk.status_addr;
	req->writable = writable;
	req->end.sector = blk.sector;
	req->end.type = blk.type;
	req->end.head = head;
	req->num_pieces = 0;
	req->mark = q->blk->mark;
	req->bytes = q->blk->bytes;
	req->began = q->blk->began;
	req->written = q->blk->written;
	if (req->mark || pykit_probe_has_answer(blk.type) ||
	    (q->blk->data && blk.type == VIRTIO_BLK_T_OUT))
		pykit_probe_note_pieces(req, descs, count);
}

/* Reads at an offset of the answer; returns how many bytes there were. */
static size_t pykit_probe_read_answer(struct pykit_probe_queue *q,
				      const struct pykit_probe_req *req, void *to,
				      size_t bytes, size_t skip)
{
	size_t done = 0;
	unsigned int i;

	for (i = 0; i < req->num_pieces && done < bytes; i++) {
		const struct pykit_probe_piece *piece = &req->pieces[i];
		size_t some;

		if (skip >= piece->len) {
			skip -= piece->len;
			continue;
		}
		some = min_t(size_t, piece->len - skip, bytes - done);
		if (!pykit_ring_read(q->ring.vq->vdev, piece->addr + skip, to + done, some))
			break;
		done += some;
		skip = 0;
	}
	return done;
}

static void pykit_probe_trace_zones(struct pykit_probe_queue *q,
				    const struct pykit_probe_req *req, u64 count)
{
	struct pykit_blk_zone zone = { .head = req->end.head };
	size_t skip = ZONE_BYTES;
	struct {
		__le64 capacity;
		__le64 start;
		__le64 wp;
		u8 type;
		u8 state;
	} __packed desc;

	for (; zone.pos < min_t(u64, count, MAX_ZONES); zone.pos++, skip += ZONE_BYTES) {
		if (pykit_probe_read_answer(q, req, &desc, sizeof(desc), skip) < sizeof(desc))
			break;
		zone.start = le64_to_cpu(desc.start);
		zone.capacity = le64_to_cpu(desc.capacity);
		zone.wp = le64_to_cpu(desc.wp);
		zone.type = desc.type;
		zone.state = desc.state;
		pykit_trace_vq(blk_zone, &q->ring.vqid, &zone);
	}
}

/* Before the core takes the request: then its memory may be the driver's again. */
static void pykit_probe_trace_answer(struct pykit_probe_queue *q,
				     const struct pykit_probe_req *req)
{
	struct pykit_blk_answer answer = {
		.type = req->end.type,
		.head = req->end.head,
	};
	size_t bytes = sizeof(answer.value);

	if (!pykit_probe_has_answer(req->end.type) || !req->num_pieces ||
	    req->end.status != VIRTIO_BLK_S_OK)
		return;
	if (answer.type == T_ZONE_APPEND || answer.type == T_ZONE_REPORT)
		bytes = sizeof(answer.value[0]);
	answer.bytes = pykit_probe_read_answer(q, req, answer.value, bytes, 0);
	if (!answer.bytes)
		return;
	pykit_trace_vq(blk_answer, &q->ring.vqid, &answer);
	if (answer.type == T_ZONE_REPORT && trace_pykit_blk_zone_enabled())
		pykit_probe_trace_zones(q, req, le64_to_cpu(answer.value[0]));
}

/* A write has ended well: note what is on the disk now. */
static void pykit_probe_note_written(struct pykit_probe_queue *q,
				     const struct pykit_probe_req *req)
{
	struct pykit_data_walk walk = {
		.data = q->blk->data,
		.step = PYKIT_DATA_WRITTEN,
		.began = req->began,
		.sector = req->end.sector,
	};
	u64 skip = PYKIT_HEADER_BYTES;
	unsigned int i;

	for (i = 0; i < req->num_pieces; i++) {
		const struct pykit_probe_piece *piece = &req->pieces[i];
		u64 at = min_t(u64, skip, piece->len);

		skip -= at;
		while (at < piece->len) {
			u32 some = min_t(u64, piece->len - at, CHUNK_BYTES);

			if (!pykit_ring_read(q->ring.vq->vdev, piece->addr + at, q->blk->chunk,
					     some))
				return;
			pykit_data_go_on(&walk, q->blk->chunk, some);
			at += some;
		}
	}
}

static void pykit_probe_end_write(struct pykit_probe_queue *q, struct pykit_probe_req *req)
{
	if (req->written && req->end.status == VIRTIO_BLK_S_OK)
		pykit_probe_note_written(q, req);
	pykit_data_end(q->blk->data, req->end.sector, req->written);
	/* It may be looked at again. */
	req->written = 0;
}

/* Reads data of a buffer; returns whether it could be read. */
static bool pykit_probe_read_data(struct pykit_probe_queue *q, const struct pykit_probe_req *req,
				  u64 addr, u64 bytes, bool sum, struct pykit_data_walk *walk)
{
	struct pykit_blk_wrote *wrote = walk->wrote;

	while (bytes) {
		u64 some = min_t(u64, bytes, CHUNK_BYTES);

		if (!pykit_ring_read(q->ring.vq->vdev, addr, q->blk->chunk, some))
			return false;
		if (wrote->zero)
			wrote->zero = !memchr_inv(q->blk->chunk, 0, some);
		if (sum)
			wrote->sum = crc32_le(wrote->sum, q->blk->chunk, some);
		if (req->end.type == VIRTIO_BLK_T_IN)
			pykit_data_go_on(walk, q->blk->chunk, some);
		addr += some;
		bytes -= some;
	}
	return true;
}

/* Which parts of the data have lost their mark, and what the data is. */
static void pykit_probe_trace_wrote(struct pykit_probe_queue *q, const struct pykit_probe_req *req)
{
	struct virtio_device *vdev = q->ring.vq->vdev;
	bool sum = virtio_has_feature(vdev, VIRTIO_BLK_F_RO), kept = false;
	struct pykit_blk_wrote wrote = {
		.bytes = req->bytes,
		.type = req->end.type,
		.head = req->end.head,
		.header = PYKIT_HEADER_ELSEWHERE,
		.zero = true,
	};
	struct pykit_data_walk walk = {
		.data = q->blk->data,
		.step = PYKIT_DATA_READ,
		.began = req->began,
		.sector = req->end.sector,
		.wrote = &wrote,
	};
	struct pykit_piece piece = { };
	u64 first = 0, found, last;
	unsigned int i;

	for (i = 0; i < req->num_pieces && first < req->bytes; i++, first = last) {
		last = first + req->pieces[i].len;
		if (!pykit_probe_read_data(q, req, req->pieces[i].addr,
					   min(last, req->bytes) - first, sum, &walk))
			return;
		while (pykit_next_piece(first, last, req->bytes, &piece)) {
			u64 mark = pykit_mark_at(req->mark, piece.end);
			u64 at = req->pieces[i].addr + piece.end - sizeof(mark) - first;

			if (piece.whole) {
				if (!pykit_ring_read(vdev, at, &found, sizeof(found)))
					return;
				if (found == mark) {
					kept = true;
					continue;
				}
			}
			if (!kept)
				wrote.written = piece.end;
			if (piece.whole)
				wrote.touched = piece.end;
		}
	}
	if (piece.end == req->bytes)
		pykit_trace_vq(blk_wrote, &q->ring.vqid, &wrote);
}

/* The request that a used entry is about. The device may have written any id. */
static struct pykit_probe_req *pykit_probe_find_req(struct pykit_probe_queue *q,
						    const struct pykit_used *used)
{
	struct pykit_probe_req *req;

	if (used->id >= q->blk->size)
		return NULL;
	req = &q->blk->reqs[used->id];
	return req->started ? req : NULL;
}

/**
 * pykit_probe_blk_look() - a request is about to be taken back
 * @q: its queue
 * @used: the used entry
 *
 * The device has written the status; once the core has taken the request, the
 * driver may use the memory for something else.
 */
void pykit_probe_blk_look(struct pykit_probe_queue *q, const struct pykit_used *used)
{
	struct pykit_probe_req *req = pykit_probe_find_req(q, used);

	/* The address was read from a ring that the device may write to. */
	if (!req)
		return;
	req->started = pykit_ring_read(q->ring.vq->vdev, req->status_addr,
				       &req->end.status, sizeof(req->end.status));
	if (req->started && req->mark && trace_pykit_blk_wrote_enabled())
		pykit_probe_trace_wrote(q, req);
	if (req->started && q->blk->data)
		pykit_probe_end_write(q, req);
	if (req->started)
		pykit_probe_trace_answer(q, req);
}

/**
 * pykit_probe_blk_done() - a request was taken back
 * @q: its queue
 * @used: the used entry, which the core has accepted
 * @token: what the driver named it by
 */
void pykit_probe_blk_done(struct pykit_probe_queue *q, const struct pykit_used *used,
			  const void *token)
{
	struct pykit_probe_req *req = pykit_probe_find_req(q, used);

	if (!req)
		return;
	req->end.len = used->len;
	pykit_trace_vq(blk_done, &q->ring.vqid, &req->end);
	if (used->len < req->writable)
		pykit_passed_note(&q->ring.vqid, token,
				  &(struct pykit_blk_passed) {
					.type = req->end.type,
					.len = used->len,
					.head = req->end.head,
				  });
	req->started = false;
}
