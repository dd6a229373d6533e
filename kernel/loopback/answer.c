// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of requests when the back-end is gone: they are answered, so that
 * their driver can let go.
 *
 * Which ones those are cannot be read from a ring afterwards, for a back-end may
 * return chains in any order and their places in the rings may be taken again by
 * then. So heads are counted, at every kick and interrupt.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "pykit_loopback.h"

/* No queue has more descriptors: a longer chain is a loop. */
#define LONGEST_CHAIN	32768

static u16 pykit_loopback_to_cpu(struct pykit_loopback_vq *q, __virtio16 value)
{
	return virtio16_to_cpu(&q->device->vdev, value);
}

/**
 * pykit_loopback_answer_start() - a queue has been set up
 * @q: queue, whose vring is known
 *
 * Return: 0, or -ENOMEM.
 */
int pykit_loopback_answer_start(struct pykit_loopback_vq *q)
{
	q->seen_avail = 0;
	q->seen_used = 0;
	q->lost = false;
	q->pending = NULL;
	if (!q->about.answers)
		return 0;
	q->pending = kcalloc(q->vring->num, sizeof(*q->pending), GFP_KERNEL);
	return q->pending ? 0 : -ENOMEM;
}

/**
 * pykit_loopback_answer_stop() - a queue is deleted
 * @q: queue that nothing looks at any more
 */
void pykit_loopback_answer_stop(struct pykit_loopback_vq *q)
{
	kfree(q->pending);
	q->pending = NULL;
}

/**
 * pykit_loopback_answer_track() - count the heads that were made available or returned
 * @q: queue, locked
 */
void pykit_loopback_answer_track(struct pykit_loopback_vq *q)
{
	const struct vring *vring = q->vring;
	u16 avail, used;

	if (!q->pending || q->lost)
		return;
	avail = pykit_loopback_to_cpu(q, READ_ONCE(vring->avail->idx));
	used = pykit_loopback_to_cpu(q, READ_ONCE(vring->used->idx));
	/* Entries are read after the indices that say that they are there. */
	smp_rmb();
	if ((u16)(avail - q->seen_avail) > vring->num ||
	    (u16)(used - q->seen_used) > vring->num) {
		q->lost = true;
		return;
	}
	for (; q->seen_avail != avail; q->seen_avail++) {
		u16 slot = q->seen_avail % vring->num;

		q->pending[pykit_loopback_to_cpu(q, vring->avail->ring[slot]) % vring->num]++;
	}
	for (; q->seen_used != used; q->seen_used++) {
		u32 id = virtio32_to_cpu(&q->device->vdev,
			vring->used->ring[q->seen_used % vring->num].id);

		q->pending[id % vring->num]--;
	}
}

/* Too much went by unseen: take it that chains were returned in order. */
static void pykit_loopback_assume_order(struct pykit_loopback_vq *q)
{
	memset(q->pending, 0, q->vring->num * sizeof(*q->pending));
	q->seen_used = pykit_loopback_to_cpu(q, q->vring->used->idx);
	q->seen_avail = q->seen_used;
	q->lost = false;
	pykit_loopback_answer_track(q);
}

/*
 * Find the memory behind an address of a ring that the back-end could write to.
 * Without bounced buffers addresses are physical ones; a page that has a number
 * need not be mapped.
 */
static void *pykit_loopback_memory_at(struct pykit_loopback_vq *q, __virtio64 addr, u64 offset)
{
	u64 at = virtio64_to_cpu(&q->device->vdev, addr) + offset;
	u8 byte;

	if (q->device->bounce)
		return pykit_loopback_bounce_at(q->device, at);
	if (!pfn_valid(PHYS_PFN(at)) ||
	    copy_from_kernel_nofault(&byte, phys_to_virt(at), sizeof(byte)))
		return NULL;
	return phys_to_virt(at);
}

/*
 * Read a descriptor of the ring, or of the indirect table at @table. The back-end may
 * have written the table's address, so only nofault reads are safe.
 */
static bool pykit_loopback_read_desc(struct pykit_loopback_vq *q, const __virtio64 *table,
				     u16 slot, struct vring_desc *desc)
{
	const void *memory;

	if (!table) {
		*desc = q->vring->desc[slot];
		return true;
	}
	memory = pykit_loopback_memory_at(q, *table, slot * sizeof(*desc));
	return memory && !copy_from_kernel_nofault(desc, memory, sizeof(*desc));
}

/* Write the answer; returns how many bytes, from the first one, were written. */
static u32 pykit_loopback_write_answer(struct pykit_loopback_vq *q, u16 head)
{
	struct virtio_device *vdev = &q->device->vdev;
	const struct vring_desc *ring = q->vring->desc;
	unsigned int n = q->vring->num, left = LONGEST_CHAIN;
	const __virtio64 *table = NULL;
	u32 at = q->about.answer_at, offset = 0;
	struct vring_desc desc;
	u8 *answer = NULL;
	u16 flags, slot = head;

	if (pykit_loopback_to_cpu(q, ring[head].flags) & VRING_DESC_F_INDIRECT) {
		n = virtio32_to_cpu(vdev, ring[head].len) / sizeof(desc);
		table = &ring[head].addr;
		slot = 0;
	}
	while (left-- && slot < n && pykit_loopback_read_desc(q, table, slot, &desc)) {
		u32 len = virtio32_to_cpu(vdev, desc.len);

		flags = pykit_loopback_to_cpu(q, desc.flags);
		if (flags & VRING_DESC_F_WRITE && len) {
			if (at == PYKIT_LOOPBACK_LAST)
				answer = pykit_loopback_memory_at(q, desc.addr, len - 1);
			else if (at >= offset && at - offset < len)
				answer = pykit_loopback_memory_at(q, desc.addr, at - offset);
			offset += len;
		}
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		slot = pykit_loopback_to_cpu(q, desc.next);
	}
	if (!answer)
		return 0;
	*answer = q->about.answer;
	return at == 0 || (at == PYKIT_LOOPBACK_LAST && offset == 1);
}

static void pykit_loopback_answer(struct pykit_loopback_vq *q, u16 head)
{
	struct virtio_device *vdev = &q->device->vdev;
	struct vring_used *used = q->vring->used;
	struct vring_used_elem *entry = &used->ring[q->seen_used % q->vring->num];

	entry->len = cpu_to_virtio32(vdev, pykit_loopback_write_answer(q, head));
	entry->id = cpu_to_virtio32(vdev, head);
	q->seen_used++;
	/* The index announces the entry and the answer: write it last. */
	smp_wmb();
	WRITE_ONCE(used->idx, cpu_to_virtio16(vdev, q->seen_used));
}

/**
 * pykit_loopback_answer_pending() - answer all that the driver waits for
 * @q: queue, locked, without a back-end
 *
 * Every notification of the driver is asked for from now on.
 */
void pykit_loopback_answer_pending(struct pykit_loopback_vq *q)
{
	struct virtio_device *vdev = &q->device->vdev;
	const struct vring *vring = q->vring;
	unsigned int head;

	if (!q->pending)
		return;
	do {
		pykit_loopback_answer_track(q);
		if (q->lost)
			pykit_loopback_assume_order(q);
		for (head = 0; head < vring->num; head++)
			for (; q->pending[head] > 0; q->pending[head]--)
				pykit_loopback_answer(q, head);
		WRITE_ONCE(vring->used->flags, 0);
		WRITE_ONCE(*(__virtio16 *)&vring->used->ring[vring->num],
			   cpu_to_virtio16(vdev, q->seen_avail));
		/* What came before that was read is not notified. */
		smp_mb();
	} while (pykit_loopback_to_cpu(q, READ_ONCE(vring->avail->idx)) != q->seen_avail);
}
