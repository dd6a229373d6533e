// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounced buffers, for back-ends that take references to the pages of a buffer
 * (vhost_scsi does): those of a mapping of physical memory cannot be taken.
 *
 * The device's addresses are offsets into a pool, which the joining process maps.
 * Nothing is at offset 0.
 */
#include <linux/bitmap.h>
#include <linux/dma-map-ops.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "pykit_loopback.h"

/* The longest buffer: many of them fit the smallest pool. */
#define MAX_BUFFER	SZ_128K

/**
 * struct bounce_page - a page of the pool
 * @first: index of the first page of the mapping that it belongs to
 * @here: what is mapped there; only of first pages
 * @bytes: its length
 */
struct bounce_page {
	unsigned int first;
	void *here;
	size_t bytes;
};

/**
 * struct pykit_bounce - a pool
 * @memory: its memory
 * @count: pages of it
 * @lock: guards @used
 * @used: which pages are
 * @pages: what they are used for
 */
struct pykit_bounce {
	u8 *memory;
	unsigned int count;
	/* Buffers are mapped and unmapped in any context. */
	spinlock_t lock;
	unsigned long *used;
	struct bounce_page pages[];
};

static struct pykit_bounce *to_pykit_bounce(struct device *dev)
{
	return ((struct pykit_loopback *)dev_get_drvdata(dev))->bounce;
}

/* Returns the address of so many bytes, or DMA_MAPPING_ERROR. */
static dma_addr_t pykit_loopback_bounce_take(struct pykit_bounce *b, void *here, size_t bytes)
{
	unsigned int i, nr = PFN_UP(bytes);
	unsigned long flags, first;

	spin_lock_irqsave(&b->lock, flags);
	first = bitmap_find_next_zero_area(b->used, b->count, 1, nr, 0);
	if (first < b->count)
		bitmap_set(b->used, first, nr);
	spin_unlock_irqrestore(&b->lock, flags);
	if (first >= b->count)
		return DMA_MAPPING_ERROR;
	for (i = 0; i < nr; i++)
		b->pages[first + i].first = first;
	b->pages[first].here = here;
	b->pages[first].bytes = bytes;
	return PFN_PHYS(first);
}

static void pykit_loopback_bounce_release(struct pykit_bounce *b, dma_addr_t addr)
{
	unsigned int first = PHYS_PFN(addr);
	unsigned long flags;

	spin_lock_irqsave(&b->lock, flags);
	bitmap_clear(b->used, first, PFN_UP(b->pages[first].bytes));
	spin_unlock_irqrestore(&b->lock, flags);
}

/*
 * The buffer's own memory behind an address. Without the lock: what is said of a
 * page changes hands with its bit, and only between taking and giving back may
 * anybody name the address.
 */
static void *pykit_loopback_bounce_original(struct pykit_bounce *b, dma_addr_t addr)
{
	unsigned int first = b->pages[PHYS_PFN(addr)].first;

	return b->pages[first].here + (addr - PFN_PHYS(first));
}

static dma_addr_t pykit_loopback_bounce_map_page(struct device *dev, struct page *page,
						 unsigned long offset, size_t bytes,
						 enum dma_data_direction dir, unsigned long attrs)
{
	struct pykit_bounce *b = to_pykit_bounce(dev);
	/* Which it has: no kernel of 64 bits has high memory. */
	void *here = page_address(page) + offset;
	dma_addr_t addr = pykit_loopback_bounce_take(b, here, bytes);

	/* What the device does not write has to come back as it was. */
	if (addr != DMA_MAPPING_ERROR)
		memcpy(b->memory + addr, here, bytes);
	return addr;
}

static void pykit_loopback_bounce_sync_for_cpu(struct device *dev, dma_addr_t addr, size_t bytes,
					       enum dma_data_direction dir)
{
	struct pykit_bounce *b = to_pykit_bounce(dev);

	if (dir != DMA_TO_DEVICE)
		memcpy(pykit_loopback_bounce_original(b, addr), b->memory + addr, bytes);
}

static void pykit_loopback_bounce_sync_for_device(struct device *dev, dma_addr_t addr, size_t bytes,
						  enum dma_data_direction dir)
{
	struct pykit_bounce *b = to_pykit_bounce(dev);

	if (dir != DMA_FROM_DEVICE)
		memcpy(b->memory + addr, pykit_loopback_bounce_original(b, addr), bytes);
}

static void pykit_loopback_bounce_unmap_page(struct device *dev, dma_addr_t addr, size_t bytes,
					     enum dma_data_direction dir, unsigned long attrs)
{
	if (!(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		pykit_loopback_bounce_sync_for_cpu(dev, addr, bytes, dir);
	pykit_loopback_bounce_release(to_pykit_bounce(dev), addr);
}

static void *pykit_loopback_bounce_alloc_coherent(struct device *dev, size_t bytes,
						  dma_addr_t *addr, gfp_t gfp, unsigned long attrs)
{
	struct pykit_bounce *b = to_pykit_bounce(dev);

	*addr = pykit_loopback_bounce_take(b, NULL, bytes);
	if (*addr == DMA_MAPPING_ERROR)
		return NULL;
	return memset(b->memory + *addr, 0, bytes);
}

static void pykit_loopback_bounce_free_coherent(struct device *dev, size_t bytes, void *memory,
						dma_addr_t addr, unsigned long attrs)
{
	pykit_loopback_bounce_release(to_pykit_bounce(dev), addr);
}

static size_t pykit_loopback_bounce_max_mapping_size(struct device *dev)
{
	return MAX_BUFFER;
}

#ifdef PYKIT_HAVE_VIRTIO_MAP_OPS
static dma_addr_t pykit_loopback_bounce_virtio_map_page(union virtio_map map, struct page *page,
							unsigned long offset, size_t bytes,
							enum dma_data_direction dir,
							unsigned long attrs)
{
	return pykit_loopback_bounce_map_page(map.dma_dev, page, offset, bytes, dir, attrs);
}

static void pykit_loopback_bounce_virtio_unmap_page(union virtio_map map, dma_addr_t addr,
						    size_t bytes, enum dma_data_direction dir,
						    unsigned long attrs)
{
	pykit_loopback_bounce_unmap_page(map.dma_dev, addr, bytes, dir, attrs);
}

static void pykit_loopback_bounce_virtio_sync_for_cpu(union virtio_map map, dma_addr_t addr,
						      size_t bytes, enum dma_data_direction dir)
{
	pykit_loopback_bounce_sync_for_cpu(map.dma_dev, addr, bytes, dir);
}

static void pykit_loopback_bounce_virtio_sync_for_device(union virtio_map map, dma_addr_t addr,
							 size_t bytes, enum dma_data_direction dir)
{
	pykit_loopback_bounce_sync_for_device(map.dma_dev, addr, bytes, dir);
}

static void *pykit_loopback_bounce_virtio_alloc(union virtio_map map, size_t bytes,
						dma_addr_t *addr, gfp_t gfp)
{
	return pykit_loopback_bounce_alloc_coherent(map.dma_dev, bytes, addr, gfp, 0);
}

static void pykit_loopback_bounce_virtio_free(union virtio_map map, size_t bytes, void *memory,
					      dma_addr_t addr, unsigned long attrs)
{
	pykit_loopback_bounce_free_coherent(map.dma_dev, bytes, memory, addr, attrs);
}

static bool pykit_loopback_bounce_virtio_need_sync(union virtio_map map, dma_addr_t addr)
{
	return true;
}

static int pykit_loopback_bounce_virtio_mapping_error(union virtio_map map, dma_addr_t addr)
{
	return addr == DMA_MAPPING_ERROR ? -ENOMEM : 0;
}

static size_t pykit_loopback_bounce_virtio_max_mapping_size(union virtio_map map)
{
	return pykit_loopback_bounce_max_mapping_size(map.dma_dev);
}

static const struct virtio_map_ops bounce_ops = {
	.map_page		= pykit_loopback_bounce_virtio_map_page,
	.unmap_page		= pykit_loopback_bounce_virtio_unmap_page,
	.sync_single_for_cpu	= pykit_loopback_bounce_virtio_sync_for_cpu,
	.sync_single_for_device	= pykit_loopback_bounce_virtio_sync_for_device,
	.alloc			= pykit_loopback_bounce_virtio_alloc,
	.free			= pykit_loopback_bounce_virtio_free,
	.need_sync		= pykit_loopback_bounce_virtio_need_sync,
	.mapping_error		= pykit_loopback_bounce_virtio_mapping_error,
	.max_mapping_size	= pykit_loopback_bounce_virtio_max_mapping_size,
};

static void pykit_loopback_bounce_use_bounce(struct pykit_loopback *l)
{
	l->vdev.map = &bounce_ops;
}
#else
static const struct dma_map_ops bounce_ops = {
	.map_page		= pykit_loopback_bounce_map_page,
	.unmap_page		= pykit_loopback_bounce_unmap_page,
	.sync_single_for_cpu	= pykit_loopback_bounce_sync_for_cpu,
	.sync_single_for_device	= pykit_loopback_bounce_sync_for_device,
	.alloc			= pykit_loopback_bounce_alloc_coherent,
	.free			= pykit_loopback_bounce_free_coherent,
	.max_mapping_size	= pykit_loopback_bounce_max_mapping_size,
};

static void pykit_loopback_bounce_use_bounce(struct pykit_loopback *l)
{
	set_dma_ops(&l->parent->dev, &bounce_ops);
}
#endif

/**
 * pykit_loopback_bounce_create() - give a device a pool, and have its buffers bounced
 * @l: loopback whose parent device is there
 * @bytes: length of the pool
 *
 * Return: 0, or -ENOMEM.
 */
int pykit_loopback_bounce_create(struct pykit_loopback *l, size_t bytes)
{
	unsigned int count = PHYS_PFN(bytes);
	struct pykit_bounce *b = kvzalloc(struct_size(b, pages, count),
					  GFP_KERNEL);

	if (!b)
		return -ENOMEM;
	spin_lock_init(&b->lock);
	b->count = count;
	b->used = bitmap_zalloc(count, GFP_KERNEL);
	b->memory = vmalloc_user(bytes);
	l->bounce = b;
	if (!b->used || !b->memory) {
		pykit_loopback_bounce_free(l);
		return -ENOMEM;
	}
	pykit_loopback_bounce_use_bounce(l);
	return 0;
}

/**
 * pykit_loopback_bounce_free() - free the pool
 * @l: loopback, with or without one, without users
 */
void pykit_loopback_bounce_free(struct pykit_loopback *l)
{
	if (!l->bounce)
		return;
	vfree(l->bounce->memory);
	bitmap_free(l->bounce->used);
	kvfree(l->bounce);
	l->bounce = NULL;
}

/**
 * pykit_loopback_bounce_mmap() - map the pool to userspace
 * @l: loopback with a pool
 * @vma: where; its offset is one into the pool
 *
 * Return: 0, or -EINVAL.
 */
int pykit_loopback_bounce_mmap(struct pykit_loopback *l, struct vm_area_struct *vma)
{
	return remap_vmalloc_range(vma, l->bounce->memory, vma->vm_pgoff);
}

/**
 * pykit_loopback_bounce_at() - memory of the pool
 * @l: loopback with a pool
 * @addr: address as the device has it
 *
 * Return: where it is, NULL if it is not in the pool.
 */
void *pykit_loopback_bounce_at(struct pykit_loopback *l, u64 addr)
{
	return addr < PFN_PHYS(l->bounce->count) ? l->bounce->memory + addr : NULL;
}
