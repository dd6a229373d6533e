# SPDX-License-Identifier: GPL-2.0-only
"""Columns of numbers and operations on them. Groups are contiguous, in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

WRAP = 1 << 16
#: Races of one kind in a trace are fewer than this, or than one in so many.
_OFTEN, _SHARE = 3, 5
#: Behind all rows, and all places of the order.
NEVER = np.iinfo(np.int64).max


#: Rows of a frame; a slice where it is all of them.
Pick = npt.NDArray[np.integer[Any]] | slice


class _Part(NamedTuple):
    """The events of one kind: which rows of its frame, and where they stand among all."""

    own: pl.DataFrame
    pick: Pick
    to: Pick


@dataclass(frozen=True)
class Columns:
    """Events of some kinds in one order, a column of numbers for each field.

    A field that a kind does not have is 0. Each column is made at its first use: polars takes
    longer for one operation than numpy for all rows of most captures.
    """

    kinds: tuple[str, ...]
    #: By row: index into ``kinds``.
    kind: npt.NDArray[np.uint8]
    make: Callable[[str], npt.NDArray[Any]] = field(repr=False)
    made: dict[str, npt.NDArray[Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def read(
        cls,
        own: Mapping[str, pl.DataFrame],
        kinds: tuple[str, ...],
        place: npt.NDArray[np.int32] | None = None,
    ) -> Columns:
        """Of each kind's ``own`` frame, in the order of ``place`` (by ``row``; -1: left out)."""
        found = []
        for code, kind in enumerate(kinds):
            if kind not in own:
                continue
            pick: Pick = slice(None)
            at = own[kind]["row"].to_numpy()
            if place is not None:
                at = place[at]
                if at.min(initial=0) < 0:
                    pick = np.flatnonzero(at >= 0)
                    at = at[pick]
            found.append((code, own[kind], pick, at))
        # No two rows have one place: to mark them all is faster than to sort them.
        span = max((int(at.max()) + 1 for *_, at in found if len(at)), default=0)
        code_at = np.full(span, -1, dtype=np.int8)
        for code, _, _, at in found:
            code_at[at] = code
        taken = np.flatnonzero(code_at >= 0)
        parts = []
        if len(found) == 1 and (found[0][3][1:] > found[0][3][:-1]).all():
            parts = [_Part(found[0][1], found[0][2], slice(None))]
        elif found:
            rank = np.empty(len(code_at), dtype=np.int32)
            rank[taken] = np.arange(len(taken), dtype=np.int32)
            parts = [_Part(frame, pick, rank[at]) for _, frame, pick, at in found]

        def make(name: str) -> npt.NDArray[Any]:
            have = [part for part in parts if name in part.own.columns]
            columns = [numbers(part.own[name])[part.pick] for part in have]
            if len(parts) == len(have) == 1 and isinstance(parts[0].to, slice):
                return columns[0]
            types = [column.dtype for column in columns] or [np.dtype(np.uint8)]
            out = np.zeros(len(taken), dtype=np.result_type(*types))
            for part, column in zip(have, columns, strict=True):
                out[part.to] = column
            return out

        return cls(kinds, code_at[taken].astype(np.uint8), make, {"at": taken.astype(np.int32)})

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, name: str) -> Ints:
        """A column as 64-bit integers; values above 2^63 become negative."""
        return self._typed(name).astype(np.int64, copy=False)

    def small(self, name: str) -> Indices:
        """A column whose values have 31 bits at most."""
        return self._typed(name).astype(np.int32, copy=False)

    def _typed(self, name: str) -> npt.NDArray[Any]:
        if name not in self.made:
            self.made[name] = self.make(name)
        return self.made[name]

    def take(self, chosen: Ints | Bools | slice) -> Columns:
        """These rows, by their numbers or by which are True."""
        return Columns(self.kinds, self.kind[chosen], lambda name: self._typed(name)[chosen])

    def dicts(self, *names: str) -> Iterator[dict[str, int]]:
        """The rows one by one, where there are few."""
        values = (self[name].tolist() for name in names)
        return (dict(zip(names, row, strict=True)) for row in zip(*values, strict=True))

    def by_queue(self) -> dict[tuple[int, int, int], Columns]:
        """The rows whose ``dev``, ``life`` and ``vq`` are known, queue by queue as they appear."""
        return {(n[0], n[1], n[2]): rows for n, rows in self._by("dev", "life", "vq")}

    def by_life(self) -> dict[tuple[int, int], Columns]:
        """The rows whose ``dev`` and ``life`` are known, life by life as they appear."""
        return {(n[0], n[1]): rows for n, rows in self._by("dev", "life")}

    def _by(self, *columns: str) -> Iterator[tuple[list[int], Columns]]:
        names = [self[name] for name in columns]
        known = np.ones(len(self), dtype=np.bool_)
        for name in names:
            known &= name >= 0
        order = np.flatnonzero(known)
        group = numbered([name[order] for name in names])
        # Rows of one group may stand together already.
        if (group[1:] < group[:-1]).any():
            by = np.argsort(group, kind="stable")
            order, group = order[by], group[by]
        starts = np.flatnonzero(first_of(group))
        stops = np.append(starts[1:], len(order))
        for n in np.argsort(order[starts]).tolist():
            mine = order[starts[n] : stops[n]]
            yield [int(name[mine[0]]) for name in names], self.take(mine)

    def of_queue(self, q: int) -> Columns:
        """The rows of one queue, which stand together where there is a column ``q``."""
        low, high = np.searchsorted(self["q"], [q, q + 1])
        return self.take(slice(int(low), int(high)))


def numbered(name: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Number each combination; in 16 bits, which numpy sorts digit by digit, if they do."""
    spans = [int(part.max(initial=0)) + 1 for part in name]
    few = math.prod(spans) < 1 << 16
    group: npt.NDArray[Any] = np.zeros(len(name[0]), dtype=np.uint16 if few else np.int64)
    for part, span in zip(name, spans, strict=True):
        group *= span
        group += part.astype(group.dtype)
    return group


def numbers(column: pl.Series, absent: int = 0) -> npt.NDArray[Any]:
    """A column in its own type; nulls are ``absent``."""
    values: npt.NDArray[Any] = (
        column.fill_null(absent) if column.null_count() else column
    ).to_numpy()
    return values


def ints(frame: pl.DataFrame | Columns, name: str, absent: int = 0) -> Ints:
    """A column as 64-bit integers; nulls are ``absent``. Above 2^63 values become negative."""
    if isinstance(frame, Columns):
        return frame[name]
    return numbers(frame[name], absent).astype(np.int64, copy=False)


def are(frame: pl.DataFrame | Columns, *kinds: str) -> Bools:
    """By row: whether it is of one of these kinds."""
    if isinstance(frame, Columns):
        found: Bools = np.array([kind in kinds for kind in frame.kinds], dtype=np.bool_)
        return found[frame.kind]
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


def key_of(group: Ints | Indices, value: Ints | Indices, span: int) -> Ints:
    """One key of a group and a value below ``span``."""
    return group.astype(np.int64, copy=False) * span + value


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
    """Return where the event index requests a notification (2.7.7).

    It does where the entry at ``event`` is one of those from ``old`` up to ``new``.
    """
    return (new - event - 1) % WRAP < (new - old) % WRAP


def contradicts(judged: Bools, wrong: Bools, certain: Bools) -> Bools:
    """Return which apparent violations stand, where a flag was read before and after a decision.

    Both readings may agree though the flag changed and changed back in between. Therefore one
    violation stands only if the core's own decision confirms it (``certain``). The others stand
    if they are three or more, and more than a fifth of all that was judged: a flag that changes
    twice within a decision is a rare race, a driver that ignores the flag does so often.
    """
    others = int(np.count_nonzero(wrong & ~certain))
    often = others >= _OFTEN and _SHARE * others > np.count_nonzero(judged)
    return wrong & (certain | often)
