/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vhost probe, which traces an unmodified vhost back-end; shared by its files.
 *
 * main.c	the character device: which back-ends are watched
 * queue.c	virtqueues: vhost's operations
 * hook.c	functions of vhost, redirected to this module
 * layout.c	how the compiler laid out vhost's structures
 */
#ifndef PYKIT_VHOST_PROBE_H
#define PYKIT_VHOST_PROBE_H

#include <trace/events/pykit.h>
#include <uapi/linux/pykit_vhost.h>

/* The kernel's own, private to drivers/vhost. */
#include "../compat/vhost.h"

/* main.c */
bool pykit_vprobe_served(const struct mm_struct *mm, u32 *number);

/* queue.c */
int pykit_vprobe_watch(void);
void pykit_vprobe_forget(void);

#endif /* PYKIT_VHOST_PROBE_H */
