/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Types of the kernel, as far as they are read. Only names matter: the places of members
 * are those of the running kernel, from its BTF.
 */
#ifndef RECORD_KERNEL_H
#define RECORD_KERNEL_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

struct device_driver {
	const char *name;
};

struct device {
	struct device *parent;
	struct device_driver *driver;
};

struct virtio_device_id {
	u32 device;
};

struct virtio_device {
	int index;
	struct device dev;
	struct virtio_device_id id;
	struct list_head vqs;
	u64 features;
};

struct virtio_driver {
	struct device_driver driver;
	const unsigned int *feature_table;
	unsigned int feature_table_size;
	const unsigned int *feature_table_legacy;
	unsigned int feature_table_size_legacy;
};

struct virtio_config_ops {
	void *get;
	void *set;
	void *generation;
	void *get_status;
	void *set_status;
	void *reset;
	void *find_vqs;
	void *del_vqs;
	void *get_features;
	void *get_extended_features;
	void *finalize_features;
	void *disable_vq_and_reset;
	void *enable_vq_after_reset;
};

struct virtqueue {
	struct list_head list;
	void *callback;
	struct virtio_device *vdev;
	unsigned int index;
	unsigned int num_free;
};

struct vring {
	unsigned int num;
	void *desc;
	void *avail;
	void *used;
};

struct vring_desc_state_split {
	void *indir_desc;
};

struct vring_desc_state_packed {
	void *indir_desc;
};

struct vring_virtqueue_split {
	struct vring vring;
	struct vring_desc_state_split *desc_state;
	u64 queue_dma_addr;
};

struct vring_virtqueue_packed {
	struct {
		unsigned int num;
		void *desc;
		void *driver;
		void *device;
	} vring;
	bool avail_wrap_counter;
	u16 next_avail_idx;
	struct vring_desc_state_packed *desc_state;
	u64 ring_dma_addr;
	u64 driver_event_dma_addr;
	u64 device_event_dma_addr;
};

struct vring_virtqueue {
	struct virtqueue vq;
	bool broken;
	unsigned int free_head;
	u16 last_used_idx;
	union {
		struct vring_virtqueue_split split;
		struct vring_virtqueue_packed packed;
	};
	void *notify;
};

struct scatterlist {
	unsigned long page_link;
	unsigned int offset;
	unsigned int length;
};

/* Only its size matters. */
struct page {
	unsigned long flags;
};

#pragma clang attribute pop

#endif /* RECORD_KERNEL_H */
