/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that add buffers to a virtqueue, for the probe to stand in for.
 *
 * COMPAT_ADD_*() is the kernel's function, NULL where it has none; then nothing calls
 * compat_add_*().
 */
#ifndef PYKIT_COMPAT_VIRTIO_ADD_H
#define PYKIT_COMPAT_VIRTIO_ADD_H

#include <linux/errno.h>
#include <linux/virtio.h>

/* 3ef66af31fea ("virtio_ring: introduce add api for premapped"), v6.13. */
#ifdef PYKIT_HAVE_ADD_PREMAPPED
#define COMPAT_ADD_OUTBUF_PREMAPPED	virtqueue_add_outbuf_premapped
#define COMPAT_ADD_INBUF_PREMAPPED	virtqueue_add_inbuf_premapped
#define compat_add_outbuf_premapped	virtqueue_add_outbuf_premapped
#define compat_add_inbuf_premapped	virtqueue_add_inbuf_premapped
#else
#define COMPAT_ADD_OUTBUF_PREMAPPED	NULL
#define COMPAT_ADD_INBUF_PREMAPPED	NULL

static inline int compat_add_outbuf_premapped(struct virtqueue *vq, struct scatterlist *sg,
					      unsigned int num, void *data, gfp_t gfp)
{
	return -EOPNOTSUPP;
}

static inline int compat_add_inbuf_premapped(struct virtqueue *vq, struct scatterlist *sg,
					     unsigned int num, void *data, void *ctx, gfp_t gfp)
{
	return -EOPNOTSUPP;
}
#endif

/* virtqueue_add_inbuf_cache_clean(), v7.0. */
#ifdef PYKIT_HAVE_ADD_CACHE_CLEAN
#define COMPAT_ADD_INBUF_CACHE_CLEAN	virtqueue_add_inbuf_cache_clean
#define compat_add_inbuf_cache_clean	virtqueue_add_inbuf_cache_clean
#else
#define COMPAT_ADD_INBUF_CACHE_CLEAN	NULL

static inline int compat_add_inbuf_cache_clean(struct virtqueue *vq, struct scatterlist *sg,
					       unsigned int num, void *data, gfp_t gfp)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* PYKIT_COMPAT_VIRTIO_ADD_H */
