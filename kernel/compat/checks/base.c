// SPDX-License-Identifier: GPL-2.0-only
/* Compiles with every kernel: shows that the checks work at all. */
#include <linux/blk-mq.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
