# SPDX-License-Identifier: GPL-2.0-only
"""Columns of numbers, and what rules compute on them. Groups are contiguous, in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

WRAP = 1 << 16
#: Behind all rows, and all places of the order.
NEVER = np.iinfo(np.int64).max


def ints(frame: pl.DataFrame, name: str, absent: int = 0) -> Ints:
    """A column as 64-bit integers; nulls are ``absent``. Above 2^63 values become negative."""
    column = frame[name].fill_null(absent)
    values: npt.NDArray[Any] = column.to_numpy()
    return values.astype(np.int64, copy=False)


def are(frame: pl.DataFrame, *kinds: str) -> Bools:
    """By row: whether it is of one of these kinds."""
    chosen: Bools = frame["kind"].is_in(kinds).to_numpy()
    return chosen


def first_of(group: npt.NDArray[Any]) -> Bools:
    """Whether a row is the first of its group."""
    first = np.ones(len(group), dtype=np.bool_)
    first[1:] = group[1:] != group[:-1]
    return first


def start_of(group: npt.NDArray[Any]) -> Ints:
    """For every row, where its group starts."""
    first = first_of(group)
    where: Ints = np.where(first, np.arange(len(group)), 0)
    latest: Ints = np.maximum.accumulate(where)
    return latest


def within(group: npt.NDArray[Any]) -> Ints:
    """A row's number in its group, from 0."""
    return np.arange(len(group)) - start_of(group)


def signed16(difference: Ints) -> Ints:
    """A difference of two 16-bit counters as the nearest signed step."""
    return (difference + WRAP // 2) % WRAP - WRAP // 2


def steps16(values: Ints, group: Ints, initial: Ints) -> Ints:
    """Signed steps of a 16-bit counter; the first one of a group from ``initial``."""
    before = np.empty_like(values)
    before[1:] = values[:-1]
    first = first_of(group)
    before[first] = initial[first]
    return signed16(values - before)


def grouped_cumsum(steps: Ints, group: npt.NDArray[Any]) -> Ints:
    """Running sums that start anew with each group."""
    total = np.cumsum(steps)
    start = start_of(group)
    return total - (total[start] - steps[start]) if len(total) else total


def grouped_max(values: Ints, group: npt.NDArray[Any]) -> Ints:
    """Running maxima that start anew with each group."""
    if not len(values):
        return values
    rank = np.cumsum(first_of(group))
    # Shift groups apart, so that one running maximum serves all of them.
    span = int(values.max() - values.min()) + 1
    high: Ints = np.maximum.accumulate(values + rank * span)
    return high - rank * span


def exceeds_more(excess: Ints, group: npt.NDArray[Any]) -> Bools:
    """Where an excess over a limit sets in or grows: once a fault, not at every later row."""
    high = grouped_max(np.maximum(excess, 0), group)
    before = np.zeros_like(high)
    before[1:] = high[:-1]
    before[first_of(group)] = 0
    return (excess > 0) & (excess > before)


def key_of(group: Ints, value: Ints, span: int) -> Ints:
    """One key of a group and a value below ``span``."""
    return group * span + value


def last_before(keys: Ints, at: Ints, wanted: Ints, when: Ints) -> Ints:
    """Index of the last entry of ``keys`` equal to ``wanted`` with ``at`` below ``when``.

    -1 where there is none. ``at`` and ``when`` are positions in one common order.
    """
    if not len(keys) or not len(wanted):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.lexsort((at, keys))
    # Keys may be large: number them, so that key and position fit one integer.
    names, numbers = np.unique(keys, return_inverse=True)
    place = np.searchsorted(names, wanted)
    known = (place < len(names)) & (names[np.minimum(place, len(names) - 1)] == wanted)
    span = int(max(at.max(), when.max())) + 2
    line = numbers[order] * span + at[order]
    found = np.searchsorted(line, place * span + when) - 1
    index = order[np.maximum(found, 0)]
    good = known & (found >= 0) & (keys[index] == wanted)
    return np.where(good, index, -1)


def count_before(group: Ints, at: Ints, groups: Ints, when: Ints) -> Ints:
    """How many rows of ``group``, sorted by ``at``, stand before each ``when`` in its group.

    ``at`` ascends over all groups, as positions in one order of whole groups do.
    """
    upto = np.searchsorted(at, when)
    start = np.searchsorted(group, groups)
    count: Ints = np.maximum(upto - start, 0)
    return count


def need_event(event: Ints, new: Ints, old: Ints) -> Bools:
    """Whether one of the entries from ``old`` up to ``new`` is the one asked for (2.7.7)."""
    return (new - event - 1) % WRAP < (new - old) % WRAP
