/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RECORD_CHAINS_H
#define RECORD_CHAINS_H

#include "dat.h"

int chain_add(struct dat *dat, const struct chain *chain, u32 bytes);

#endif /* RECORD_CHAINS_H */
