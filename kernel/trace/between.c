// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a ring between two operations of its driver.
 *
 * The virtio core writes to a ring within its operations alone, and drivers serialise
 * these. What one operation left there and the next one does not find was altered by the
 * device: nobody else was at work. That holds for what the device has no right to write,
 * which is the descriptors and the driver area of a split ring, and of a packed ring the
 * driver area and each descriptor that is not available.
 */
#include <linux/slab.h>
#include <linux/virtio_ids.h>

#include <pykit_ring.h>

#define PACKED_AVAIL	BIT(VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED	BIT(VRING_PACKED_DESC_F_USED)

static_assert(sizeof(struct vring_desc) == sizeof(struct vring_packed_desc));

static size_t pykit_ring_desc_bytes(const struct pykit_ring *r)
{
	return r->size * sizeof(struct vring_desc);
}

/*
 * The driver area, from where it is compared on, and what is between it and a used ring
 * that is close behind. Drivers other than those of disks may disable interrupts at any
 * time, from an interrupt.
 */
static const void *pykit_ring_driver_area(const struct pykit_ring *r, size_t *bytes)
{
	bool all = r->vq->vdev->id.device == VIRTIO_ID_BLOCK;
	const void *area, *used;

	if (r->is_packed) {
		*bytes = all ? sizeof(*r->driver) : 0;
		return r->driver;
	}
	/* The index and the entries, and all: the flags before and the event index behind. */
	*bytes = (r->size + 1 + (all ? 2 : 0)) * sizeof(__virtio16);
	if (!all)
		return &r->split->avail->idx;
	area = r->split->avail;
	used = r->split->used;
	if (used > area + *bytes && used - area - *bytes < PAGE_SIZE)
		*bytes = used - area;
	return area;
}

/**
 * pykit_ring_watch() - compare a ring between its driver's operations from now on
 * @r: the ring, prepared
 *
 * What this takes is given back by pykit_ring_free().
 *
 * Return: 0 or -ENOMEM.
 */
int pykit_ring_watch(struct pykit_ring *r)
{
	size_t bytes;

	pykit_ring_driver_area(r, &bytes);
	r->kept = kvzalloc(pykit_ring_desc_bytes(r), GFP_KERNEL);
	r->kept_area = kzalloc(bytes ?: 1, GFP_KERNEL);
	return r->kept && r->kept_area ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_GPL(pykit_ring_watch);

static const void *pykit_ring_descs(const struct pykit_ring *r)
{
	return r->is_packed ? (const void *)r->packed : r->split->desc;
}

/* Whether a descriptor, as it was kept, may be written by the device. */
static bool pykit_ring_is_devices(const struct pykit_ring *r, unsigned int slot)
{
	const struct vring_packed_desc *kept = r->kept;
	u16 flags;

	if (!r->is_packed)
		return false;
	flags = le16_to_cpu(kept[slot].flags);
	return !(flags & PACKED_AVAIL) != !(flags & PACKED_USED);
}

static void pykit_ring_compare_descs(struct pykit_ring *r)
{
	const struct vring_desc *kept = r->kept, *now = pykit_ring_descs(r);
	unsigned int slot;

	if (!memcmp(kept, now, pykit_ring_desc_bytes(r)))
		return;
	for (slot = 0; slot < r->size; slot++) {
		if (pykit_ring_is_devices(r, slot) ||
		    !memcmp(&kept[slot], &now[slot], sizeof(*now)))
			continue;
		if (!(r->touched & TOUCHED_DESC))
			r->touched_slot = slot;
		r->touched |= TOUCHED_DESC;
	}
}

/**
 * pykit_ring_enter() - the driver begins an operation that it serialises with all others
 * @r: the ring
 */
void pykit_ring_enter(struct pykit_ring *r)
{
	const void *area;
	size_t bytes;

	if (!r->kept || !r->is_kept || !trace_pykit_compared_enabled())
		return;
	r->touched |= TOUCHED_LOOKED;
	pykit_ring_compare_descs(r);
	area = pykit_ring_driver_area(r, &bytes);
	if (memcmp(r->kept_area, area, bytes))
		r->touched |= TOUCHED_AREA;
}
EXPORT_SYMBOL_GPL(pykit_ring_enter);

/* The device may be about to use a descriptor: it writes the flags last. */
static void pykit_ring_keep_packed(struct pykit_ring *r)
{
	struct vring_packed_desc *kept = r->kept;
	unsigned int slot;

	if (!memcmp(kept, r->packed, pykit_ring_desc_bytes(r)))
		return;
	for (slot = 0; slot < r->size; slot++)
		kept[slot].flags = READ_ONCE(r->packed[slot].flags);
	/* Pairs with the device's, before it wrote the flags. */
	rmb();
	for (slot = 0; slot < r->size; slot++) {
		kept[slot].addr = READ_ONCE(r->packed[slot].addr);
		kept[slot].len = READ_ONCE(r->packed[slot].len);
		kept[slot].id = READ_ONCE(r->packed[slot].id);
	}
}

/**
 * pykit_ring_leave() - the driver ends such an operation
 * @r: the ring
 */
void pykit_ring_leave(struct pykit_ring *r)
{
	const void *area;
	size_t bytes;

	if (!r->kept || !trace_pykit_compared_enabled()) {
		r->is_kept = false;
		return;
	}
	if (r->is_packed)
		pykit_ring_keep_packed(r);
	else
		memcpy(r->kept, r->split->desc, pykit_ring_desc_bytes(r));
	area = pykit_ring_driver_area(r, &bytes);
	memcpy(r->kept_area, area, bytes);
	r->is_kept = true;
}
EXPORT_SYMBOL_GPL(pykit_ring_leave);
