/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RECORD_LOAD_H
#define RECORD_LOAD_H

#include <bpf/libbpf.h>

#include "shared.h"

/* The programs in the kernel. */
struct loaded {
	struct bpf_object *object;
	struct bpf_link *links[512];
	u32 count;
};

int load(struct loaded *loaded, u32 buffer_mib);
int attach(struct loaded *loaded);
void detach(struct loaded *loaded);
u64 count_losses(const struct loaded *loaded);
void debug(const char *form, ...) __attribute__((format(printf, 1, 2)));

#endif /* RECORD_LOAD_H */
