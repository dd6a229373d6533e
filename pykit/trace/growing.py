# SPDX-License-Identifier: GPL-2.0-only
"""Columns that grow at their end, in memory that is neither copied nor held twice for it."""

from __future__ import annotations

import contextlib
import mmap

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.trace.pages import Array

_FIRST, _HUGE = 1 << 14, 4 << 20


class Growing:
    """A column whose values come part by part.

    The kernel moves its pages when it grows (mremap(2)); those behind the last value are never
    touched, so they cost nothing. Parts that are kept and put together at the end would need the
    memory twice, and of a large trace most of the time goes into getting memory.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._used = 0
        self._memory = mmap.mmap(-1, _FIRST, flags=mmap.MAP_PRIVATE)

    def add(self, values: Array) -> None:
        """Put values, of the column's type, behind those that are there."""
        end = self._used + values.nbytes
        room = len(self._memory)
        if end > room:
            while room < end:
                room *= 2
            self._memory.resize(room)
            if room >= _HUGE:
                # A kernel without huge pages refuses.
                with contextlib.suppress(OSError):
                    self._memory.madvise(mmap.MADV_HUGEPAGE)
        target = np.frombuffer(self._memory, self._dtype, len(values), self._used)
        target[:] = values
        self._used = end

    def series(self, name: str) -> pl.Series:
        """All of them, in that memory: nothing can be added after it."""
        count = self._used // self._dtype.itemsize
        return pl.Series(name, np.frombuffer(self._memory, self._dtype, count))
