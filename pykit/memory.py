# SPDX-License-Identifier: GPL-2.0-only
"""How this process gets its memory from the kernel."""

from __future__ import annotations

import ctypes

#: Of <malloc.h>, mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER, _HUGE = 2**31 - 1, 2**30


def keep_freed() -> None:
    """Have what was freed used again instead of going back to the kernel.

    glibc maps and unmaps every array of more than some MiB by itself, and each page of each is
    faulted in and zeroed anew: of 20 M events that are decoded and judged that is a quarter of
    the time. The peak stays what it was. For a process that is pykit's own; where there is no
    mallopt() nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _HUGE)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
