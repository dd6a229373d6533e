/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RECORD_WATCH_H
#define RECORD_WATCH_H

#include "shared.h"

void watch_chain(u64 ts, const struct ev_add *add);
void watch_event(u64 ts, u16 kind, const void *event);
void watch_print(u64 now);

#endif /* RECORD_WATCH_H */
