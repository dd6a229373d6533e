/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes a trace.dat of version 6 (trace-cmd.dat.v6(5)): what pykit check and trace-cmd read.
 */
#ifndef RECORD_DAT_H
#define RECORD_DAT_H

#include "shared.h"

struct dat;

struct dat *dat_open(const char *path);
int dat_add(struct dat *dat, const struct head *h, u16 kind, const void *event, u32 bytes);
int dat_close(struct dat *dat, u64 lost);

#endif /* RECORD_DAT_H */
