// SPDX-License-Identifier: GPL-2.0-only
/*
 * As the probe of drivers has it, whose functions lead to another module.
 */
#include "../probe/hook.c"
