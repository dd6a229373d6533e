# SPDX-License-Identifier: GPL-2.0-only
"""The rate of the host's time stamp counter, which is what a guest under TCG reads.

A guest measures it against a timer. On a busy host it fails now and then, and on microvm,
which has but one timer, it is then left without a clock and stands still. So the rate is
passed to the guest.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import platform
import time

# rdtsc; shl rdx, 32; or rax, rdx; ret
_READ = bytes.fromhex("0f3148c1e2204809d0c3")
_WAIT_S = 0.02
_TRIES, _READINGS = 5, 8
#: How far the clock and the counter may be apart, at both ends together, in the last try that is
#: made: 0.01 % of the wait. After a wait the first readings are slow.
_UNSURE_NS = 2000


@functools.cache
def khz() -> int | None:
    """Ticks a millisecond, within 0.01 %; None on a host of another architecture."""
    if platform.machine() != "x86_64":
        return None
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return None  # a host that lets nobody make code
    page.write(_READ)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))

    def now() -> tuple[int, int, int]:
        """Nanoseconds, ticks, and for how many nanoseconds the two are apart at most."""
        readings = [(time.monotonic_ns(), read(), time.monotonic_ns()) for _ in range(_READINGS)]
        before, ticks, after = min(readings, key=lambda reading: reading[2] - reading[0])
        return (before + after) // 2, ticks, after - before

    measured: list[tuple[int, int]] = []
    while len(measured) < _TRIES and min(measured, default=(_UNSURE_NS,))[0] >= _UNSURE_NS:
        start, first, unsure = now()
        time.sleep(_WAIT_S)
        end, last, unsure_too = now()
        measured.append((unsure + unsure_too, round((last - first) * 1_000_000 / (end - start))))
    return min(measured)[1]
