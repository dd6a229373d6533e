/* SPDX-License-Identifier: GPL-2.0-only */
/* A transport of the machine's in which there is no device, see slot.c. */
#ifndef PYKIT_SELFTEST_SLOT_H
#define PYKIT_SELFTEST_SLOT_H

int selftest_slot_init(void);
void selftest_slot_exit(void);

#endif /* PYKIT_SELFTEST_SLOT_H */
