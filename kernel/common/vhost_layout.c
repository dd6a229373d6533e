// SPDX-License-Identifier: GPL-2.0-only
/*
 * How vhost's structures are laid out in the header that this driver was built
 * with, to be compared with the kernel's own vhost before this driver is loaded:
 * the header is private to the kernel, and a module is not refused for having
 * another one.
 *
 * What this driver uses is in the list, as far as every kernel has it.
 */
#include <linux/stddef.h>

/* The kernel's own, private to drivers/vhost. */
#include "vhost.h"

/**
 * struct layout_entry - a structure or a member of one
 * @name: its name, or "structure.member"
 * @bytes: its size, or the member's offset
 */
struct layout_entry {
	char name[56];
	u64 bytes;
};

#define SIZE(s)		{ #s, sizeof(struct s) }
#define AT(s, m)	{ #s "." #m, offsetof(struct s, m) }

static const struct layout_entry layout[] __used __section(".pykit.layout") = {
	SIZE(vhost_work),
	AT(vhost_work, fn),
	AT(vhost_work, flags),

	SIZE(vhost_poll),
	AT(vhost_poll, wqh),
	AT(vhost_poll, work),
	AT(vhost_poll, dev),

	SIZE(vhost_iotlb_map),
	AT(vhost_iotlb_map, start),
	AT(vhost_iotlb_map, addr),

	SIZE(vhost_vring_call),
	AT(vhost_vring_call, ctx),

	SIZE(vhost_virtqueue),
	AT(vhost_virtqueue, dev),
	AT(vhost_virtqueue, mutex),
	AT(vhost_virtqueue, num),
	AT(vhost_virtqueue, desc),
	AT(vhost_virtqueue, avail),
	AT(vhost_virtqueue, used),
	AT(vhost_virtqueue, meta_iotlb),
	AT(vhost_virtqueue, kick),
	AT(vhost_virtqueue, call_ctx),
	AT(vhost_virtqueue, error_ctx),
	AT(vhost_virtqueue, poll),
	AT(vhost_virtqueue, handle_kick),
	AT(vhost_virtqueue, last_avail_idx),
	AT(vhost_virtqueue, last_used_idx),
	AT(vhost_virtqueue, signalled_used),
	AT(vhost_virtqueue, signalled_used_valid),
	AT(vhost_virtqueue, iov),
	AT(vhost_virtqueue, iotlb),
	AT(vhost_virtqueue, private_data),
	AT(vhost_virtqueue, acked_features),
	AT(vhost_virtqueue, log),
	AT(vhost_virtqueue, is_le),

	SIZE(vhost_dev),
	AT(vhost_dev, mm),
	AT(vhost_dev, mutex),
	AT(vhost_dev, vqs),
	AT(vhost_dev, nvqs),
	AT(vhost_dev, umem),
	AT(vhost_dev, iotlb),
	AT(vhost_dev, wait),
	AT(vhost_dev, iov_limit),
	AT(vhost_dev, weight),
	AT(vhost_dev, byte_weight),
	AT(vhost_dev, use_worker),
	AT(vhost_dev, msg_handler),
};
