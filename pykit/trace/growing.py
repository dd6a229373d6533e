# SPDX-License-Identifier: GPL-2.0-only
"""Columns that grow in place, without copies."""

from __future__ import annotations

import contextlib
import mmap

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.trace.pages import Array

_FIRST, _HUGE = 1 << 14, 4 << 20


class Growing:
    """A column that is filled part by part.

    The kernel moves its pages when it grows (mremap(2)); those behind the last value are never
    touched and cost nothing. Joining parts at the end would need the memory twice, and for large
    traces allocating memory takes most of the time.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._used = 0
        self._memory = mmap.mmap(-1, _FIRST, flags=mmap.MAP_PRIVATE)

    def add(self, values: Array) -> None:
        """Append values of the column's type."""
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
        """Return all values in place; nothing can be added afterwards."""
        count = self._used // self._dtype.itemsize
        return pl.Series(name, np.frombuffer(self._memory, self._dtype, count))
