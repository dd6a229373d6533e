// SPDX-License-Identifier: GPL-2.0-only
/* The layout of vhost's structures, as this module was built with it. */
#include "../common/vhost_layout.c"
