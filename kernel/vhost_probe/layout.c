// SPDX-License-Identifier: GPL-2.0-only
/*
 * As the vhost driver has it: a module is held against the kernel by its own list.
 */
#include "../vhost/layout.c"
