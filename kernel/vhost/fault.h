/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of deliberate bugs share.
 *
 * fault.c		rings and signals; which bug was chosen
 * fault_disk.c		features, configuration, requests
 */
#ifndef PYKIT_VHOST_FAULT_H
#define PYKIT_VHOST_FAULT_H

#include "pykit_vhost.h"

enum pykit_vhost_fault {
	FAULT_NONE,
	WRONG_ID,
	ID_STALE,
	LENGTH_TOO_LONG,
	LENGTH_ONE_MORE,
	LENGTH_HUGE,
	LENGTH_TOO_SHORT,
	LENGTH_ZERO,
	COMPLETED_TWICE,
	TAKEN_TWICE,
	USED_IDX_JUMP,
	USED_FLAGS_UNDEFINED,
	SIGNAL_MISSED,
	SIGNAL_LAST_ONLY,
	SIGNAL_SAMPLED_EARLY,
	SIGNAL_SPURIOUS,
	SIGNAL_IGNORES_EVENT,
	SIGNAL_IGNORES_FLAGS,
	COMPLETION_DROPPED,
	STATUS_WITHHELD,
	STATUS_UNDEFINED,
	HEADER_WRITTEN,
	DATA_UNWRITTEN,
	FAILED_LENGTH,
	FLUSH_UNSUPPORTED,
	DISCARD_UNSUPPORTED,
	FEATURE_OF_OTHER_TYPE,
	FEATURE_RESERVED,
	FLUSH_NOT_OFFERED,
	CACHE_CONTROL_ALONE,
	PADDING_SET,
	SEGMENTS_TOO_MANY,
	REORDERED,
	DELAYED,
};

extern enum pykit_vhost_fault pykit_vhost_fault;

bool pykit_vhost_due(struct pykit_vhost_vq *q);

#endif /* PYKIT_VHOST_FAULT_H */
