// SPDX-License-Identifier: GPL-2.0-only
/* QEMU's own log: the vCPU that writes a status has logged it before it goes on. */
#include "access.h"

#include <stdio.h>
#include <string.h>

static const char *followed;
static FILE *qemu_log;

/* False where there is none to follow. It need not be there yet. */
bool log_follow(const char *path)
{
	/* QEMU frees its arguments. */
	followed = *path ? strdup(path) : NULL;
	return followed;
}

/* Whether a device's status has been set since the last time that this was asked. */
bool log_shows_status(void)
{
	char line[256];
	bool found = false;

	if (!qemu_log)
		qemu_log = fopen(followed, "r");
	if (!qemu_log)
		return false;
	clearerr(qemu_log);
	/* What pykit has read already it may have cut out: only zeroes are left. */
	while (fgets(line, sizeof(line), qemu_log))
		found |= !line[0] || strstr(line, "virtio_set_status ");
	return found;
}
