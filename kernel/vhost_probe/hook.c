// SPDX-License-Identifier: GPL-2.0-only
/* Functions of the core, redirected to this module: each module needs its own copy. */
#include "../common/hook.c"
