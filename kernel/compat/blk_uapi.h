/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What version 1.1 of the specification describes (sections 5.2.3 and 5.2.6), and no kernel's
 * uapi header has had until now.
 */
#ifndef PYKIT_COMPAT_BLK_UAPI_H
#define PYKIT_COMPAT_BLK_UAPI_H

#include <linux/virtio_blk.h>

#ifndef VIRTIO_BLK_F_LIFETIME
#define VIRTIO_BLK_F_LIFETIME		15
#define VIRTIO_BLK_T_GET_LIFETIME	10

struct virtio_blk_lifetime {
	__le16 pre_eol_info;
	__le16 device_lifetime_est_typ_a;
	__le16 device_lifetime_est_typ_b;
};
#endif

#endif /* PYKIT_COMPAT_BLK_UAPI_H */
