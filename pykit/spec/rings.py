# SPDX-License-Identifier: GPL-2.0-only
"""Queue events as columns, and the structures that many rules share.

Every driver-side event of a queue has ``q``, the number of its queue (one virtqueue in one
life, from its set-up or from where its observer joined it), and ``at``, its place in one order
that keeps each queue's events together and in the exact order of their ``seq``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import (
    Bools,
    Columns,
    Indices,
    Ints,
    first_of,
    grouped_cumsum,
    grouped_max,
    ints,
    key_of,
    last_before,
    numbered,
    numbers,
    start_of,
    steps16,
    within,
)
from pykit.trace.kinds import JOINED, LEFT, SET_UP

if TYPE_CHECKING:
    from pykit.spec.view import View

SPLIT, PACKED, UNKNOWN = 0, 1, -1
#: Ids and heads are compared as they stand in memory, where they have 32 bits.
#: What became of a used entry, in its event.
REFUSED, ACCEPTED, UNSTEADY = 0, 1, 2
ID_SPAN = 1 << 32
#: Head of a chain of a packed ring whose buffer id could not be read.
UNKNOWN_HEAD = 0xFFFF
_NAME = ("dev", "life", "vq")
#: Selections of events that are kept: the rules of one topic ask for the same few again and again,
#: and all of them together are as large as the events themselves.
_KEPT = 3
#: So many events are kept of them in any case: a run's take less memory than the code.
_FEW = 1_000_000


class _Queues(NamedTuple):
    """The driver's queue events in the order of ``at``: row and ``q``; by q, its name."""

    row: Indices
    q: Indices
    queue: tuple[tuple[int, int, int], ...]


def _queues_of(view: View, begins: Ints) -> _Queues:
    """Queues by (dev, life, vq); a new one at each of the rows ``begins``, which are ascending."""
    base = view.events.base
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in _NAME)
    mine = base.select((pl.col("source") == "driver") & known).to_series().to_numpy()
    row = np.flatnonzero(mine).astype(np.int32)
    group = numbered([numbers(base[name]) for name in _NAME])[row]
    by = np.argsort(group, kind="stable").astype(np.int32)
    begun = np.zeros(base.height, dtype=np.bool_)
    begun[begins] = True
    starts = first_of(group[by]) | begun[row[by]]
    del group, begun
    heads = row[by[np.flatnonzero(starts)]]
    queue = tuple(zip(*(base[name].gather(heads).to_list() for name in _NAME), strict=True))
    q = np.cumsum(starts, dtype=np.int32)
    q -= 1
    # Events without a seq of their own keep the place where they were traced.
    seq = base["seq"]
    if seq.null_count():
        seq = base.select(pl.coalesce("seq", "row")).to_series()
    order = seq.to_numpy()[row][by]
    # The rows of a queue may be in its order already.
    if (~starts[1:] & (order[1:] < order[:-1])).any():
        by = by[np.lexsort((order, q))]
    return _Queues(row[by], q, queue)


@dataclass(frozen=True)
class Rings:
    """The driver's queue events.

    Attributes:
        row, q: of all of them, in the order of ``at``.
        queue: by q: dev, life, vq.
        layout: by q: SPLIT, PACKED or UNKNOWN.
        size: by q: queue size, 0 where unknown.
        whole: by q: whether the set-up was seen.
        avail, used: by q: indices found in the ring where it begins.
        alone: by q: whether the virtqueue was set up or joined only once in its life, and was
            not left: what outside observers traced of it belongs to this queue.
    """

    view: View
    row: Indices
    q: Indices
    queue: tuple[tuple[int, int, int], ...]
    layout: Ints
    size: Ints
    whole: Bools
    avail: Ints
    used: Ints
    alone: Bools

    @classmethod
    def read(cls, view: View) -> Rings:
        """Read the queues that were set up or joined in a capture."""
        traced = Columns.read(view.events.frames.own, ("queue",))
        joined = traced.take(np.isin(traced["op"], (SET_UP, JOINED)))
        mine = _queues_of(view, joined["row"])
        queue = mine.queue
        # The queue of an event may not be known, and other observers trace set-ups too.
        q_of = np.full(view.events.base.height, -1, dtype=np.int64)
        q_of[mine.row] = mine.q
        start = joined.take(q_of[joined["row"]] >= 0)
        where = q_of[start["row"]]
        count = len(queue)
        layout = np.full(count, UNKNOWN, dtype=np.int64)
        size, avail, used = (np.zeros(count, dtype=np.int64) for _ in range(3))
        whole = np.zeros(count, dtype=np.bool_)
        layout[where] = start["layout"]
        size[where] = start["size"]
        avail[where] = start["avail_idx"]
        used[where] = start["used_idx"]
        whole[where] = start["op"] == SET_UP
        for q, (dev, life, _) in enumerate(queue):
            packed = view.life(dev, life).has(bits.RING_PACKED)
            if layout[q] == UNKNOWN and packed is not None:
                layout[q] = PACKED if packed else SPLIT
        times = Counter(queue)
        alone = np.array([times[name] == 1 for name in queue], dtype=np.bool_)
        left = q_of[traced["row"][traced["op"] == LEFT]]
        alone[left[left >= 0]] = False
        return cls(view, mine.row, mine.q, queue, layout, size, whole, avail, used, alone)

    def of(self, *kinds: str) -> Columns:
        """Events of these kinds, in order: row, q, at and these kinds' own fields."""
        found = self._cache.pop(kinds, None)
        if found is None:
            found = Columns.read(self.view.events.frames.own, kinds, self._place)
            found.made["q"] = self.q[found["at"]]
        self._cache[kinds] = found
        while len(self._cache) > _KEPT and sum(map(len, self._cache.values())) > _FEW:
            del self._cache[next(iter(self._cache))]
        return found

    def base_of(self, frame: Columns, name: str, absent: int = 0) -> Ints:
        """Return a column that all events have (``ts``, ``cpu``, ``pid``), for such rows."""
        return self.view.base(name, absent)[frame["row"]].astype(np.int64, copy=False)

    @cached_property
    def _place(self) -> npt.NDArray[np.int32]:
        """By row of the events: its ``at``, -1 where it is no queue event of the driver's."""
        place = np.full(self.view.events.base.height, -1, dtype=np.int32)
        place[self.row] = np.arange(len(self.row), dtype=np.int32)
        return place

    @cached_property
    def _cache(self) -> dict[tuple[str, ...], Columns]:
        return {}

    @cached_property
    def of_life(self) -> dict[tuple[int, int], list[int]]:
        """By (dev, life): its queues, as indices into ``queue``."""
        found: dict[tuple[int, int], list[int]] = {}
        for q, (dev, life, _) in enumerate(self.queue):
            found.setdefault((dev, life), []).append(q)
        return found

    @cached_property
    def _features(self) -> dict[int, Ints]:
        return {}

    def unbroken(self, before: Ints, after: Ints) -> Bools:
        """By pair of places in one queue: no event between the two is missing."""
        seq = self.view.base("seq", -1)
        first, last = (seq[self.row[at]].astype(np.int64, copy=False) for at in (before, after))
        whole: Bools = (last - first == after - before) | (first < 0) | (last < 0)
        return whole

    def feature(self, bit: int) -> Ints:
        """By q: 1 negotiated, 0 not, -1 unknown."""
        if bit not in self._features:
            found = [self.view.life(dev, life).has(bit) for dev, life, _ in self.queue]
            known = [-1 if has is None else int(has) for has in found]
            self._features[bit] = np.array(known, dtype=np.int64)
        return self._features[bit]

    def device(self) -> Ints:
        """By q: virtio device id, 0 where unknown."""
        found = [self.view.life(dev, life).id for dev, life, _ in self.queue]
        return np.array([known or 0 for known in found], dtype=np.int64)

    def event_idx(self, q: Ints, traced: Ints) -> Bools:
        """By row: does EVENT_IDX hold, as negotiated, or else as the events themselves have it."""
        known = self.feature(bits.EVENT_IDX)[q]
        holds: Bools = np.where(known >= 0, known, traced) == 1
        return holds

    def split(self, q: Ints | Indices) -> Bools:
        """By row: whether its queue is a split one."""
        split: Bools = self.layout[q] == SPLIT
        return split

    def name(self, q: int) -> str:
        """For messages."""
        dev, life, vq = self.queue[q]
        return f"device {dev}, life {life}, queue {vq}"


@dataclass(frozen=True)
class Adds:
    """Chains made available, in order; all columns have one entry a chain.

    ``number`` counts from 0 in each queue: the position in the available ring. ``chain`` is the
    number of descriptors, ``readable`` and ``writable`` are bytes, as the driver handed them over.
    ``differs`` is the first descriptor, from 1, that is not that of its buffer: DIFFERS_NONE if all
    are, 0 where that is not known.
    """

    row: Ints
    at: Ints
    q: Ints
    number: Ints
    head: Ints
    readable: Ints
    writable: Ints
    chain: Ints
    avail_idx: Ints
    differs: Ints

    @classmethod
    def read(cls, rings: Rings) -> Adds:
        """Read the chains that were made available, in order."""
        frame = rings.of("add")
        q = ints(frame, "q")
        return cls(
            row=ints(frame, "row"),
            at=ints(frame, "at"),
            q=q,
            number=within(q),
            head=ints(frame, "head"),
            readable=ints(frame, "readable"),
            writable=ints(frame, "writable"),
            chain=ints(frame, "chain"),
            avail_idx=ints(frame, "avail_idx"),
            differs=ints(frame, "differs"),
        )


@dataclass(frozen=True)
class Used:
    """Used entries as the driver read them, in order.

    Attributes:
        accepted: REFUSED, ACCEPTED, or UNSTEADY: refused, and not what it was a moment before.
        position: running index in the used ring, from the one at set-up (or of the first
            entry seen); split rings only.
        fresh: not an entry that was looked at before, whether or not the driver accepted it.
    """

    row: Ints
    at: Ints
    q: Ints
    id: Ints
    len: Ints
    index: Ints
    used_idx: Ints
    accepted: Ints
    position: Ints
    fresh: Bools

    @classmethod
    def read(cls, rings: Rings) -> Used:
        """Read the used entries that the driver took, in order."""
        frame = rings.of("used")
        q, index = ints(frame, "q"), ints(frame, "index")
        accepted = ints(frame, "accepted")
        first = first_of(q)
        # Without a set-up the first entry seen is where counting starts.
        initial = np.where(rings.whole[q], rings.used[q], index) if len(q) else q
        base = initial.copy()
        base[~first] = 0
        position = grouped_cumsum(steps16(index, q, initial), q) + base[start_of(q)]
        before = np.empty_like(position)
        before[1:] = grouped_max(position, q)[:-1]
        fresh = first | (position > before)
        packed = rings.layout[q] == PACKED if len(q) else first
        # An entry that was refused is looked at again, at the same place.
        refused = np.zeros_like(first)
        refused[1:] = (accepted[:-1] != 1) & (index[1:] == index[:-1])
        fresh = np.where(packed, first | ~refused, fresh)
        return cls(
            row=ints(frame, "row"),
            at=ints(frame, "at"),
            q=q,
            id=ints(frame, "id"),
            len=ints(frame, "len"),
            index=index,
            used_idx=ints(frame, "used_idx"),
            accepted=accepted,
            position=position,
            fresh=fresh,
        )


@dataclass(frozen=True)
class Pairs:
    """Exposures and returns of each head.

    Attributes:
        add_of: by used entry: the chain that it returns, -1 if none, -2 if not looked at.
        used_of: by chain: the entry that returns it, -1 if none.
        reused: by chain: its head was outstanding when it was made available.
        doubtful: by chain: its descriptors are not certain, as its head was reused.
        again: by used entry: the same exposure was returned before.
        unseen: by used entry: the head was never seen before.
        excused: by used entry: it may return a chain whose head was traced as another's,
            or one made available before the trace began.
    """

    add_of: Ints
    used_of: Ints
    reused: Bools
    doubtful: Bools
    again: Bools
    unseen: Bools
    excused: Bools

    @classmethod
    def match(cls, adds: Adds, used: Used, rings: Rings) -> Pairs:
        """Match chains and used entries by their heads, in the order of both."""
        taken = np.flatnonzero(used.fresh)
        count = len(adds.q)
        key = np.concatenate(
            [key_of(adds.q, adds.head, ID_SPAN), key_of(used.q[taken], used.id[taken], ID_SPAN)]
        )
        at = np.concatenate([adds.at, used.at[taken]])
        order = np.lexsort((at, key))
        is_used = (np.arange(len(key)) >= count)[order]
        first = first_of(key[order])
        before_used = np.zeros(len(key), dtype=np.bool_)
        before_used[1:] = is_used[:-1]
        before_add = np.zeros(len(key), dtype=np.bool_)
        before_add[1:] = ~is_used[:-1]
        before_used &= ~first
        before_add &= ~first

        add_of = np.full(len(used.q), -2, dtype=np.int64)
        add_of[taken] = -1
        used_of = np.full(count, -1, dtype=np.int64)
        hit = np.flatnonzero(is_used & before_add)
        chain, entry = order[hit - 1], taken[order[hit] - count]
        add_of[entry] = chain
        used_of[chain] = entry

        reused = np.zeros(count, dtype=np.bool_)
        clash = np.flatnonzero(~is_used & before_add)
        reused[order[clash]] = True
        doubtful = reused.copy()
        doubtful[order[clash - 1]] = True

        again = np.zeros(len(used.q), dtype=np.bool_)
        again[taken[order[is_used & before_used] - count]] = True
        unseen = np.zeros(len(used.q), dtype=np.bool_)
        unseen[taken[order[is_used & first] - count]] = True
        excused = _excused(adds, used, rings, add_of, reused, unseen)
        return cls(add_of, used_of, reused, doubtful, again, unseen, excused)


def _excused(
    adds: Adds, used: Used, rings: Rings, add_of: Ints, reused: Bools, unseen: Bools
) -> Bools:
    excused = unseen & ~rings.whole[used.q] if len(used.q) else unseen
    stray = np.flatnonzero((add_of == -1) & ~excused)
    spent: dict[int, int] = {}
    if len(adds.q):
        reused = reused | ((adds.head == UNKNOWN_HEAD) & (rings.layout[adds.q] == PACKED))
    for entry in stray.tolist():
        q = int(used.q[entry])
        wrong = int(np.count_nonzero(reused & (adds.q == q) & (adds.at < used.at[entry])))
        if spent.get(q, 0) < wrong:
            spent[q] = spent.get(q, 0) + 1
            excused[entry] = True
    return excused


@dataclass(frozen=True)
class Chains:
    """Descriptors of all chains, in walking order, and their sums.

    By descriptor: ``row at q chain addr len flags next slot table``, in 32 bits where 31 are
    enough, since these are the longest columns. ``chain`` is an index into Adds; ``good`` marks
    descriptors before the first one of their chain that the walk had met before. ``element`` is
    a piece of the buffer: not the ring slot that points at an indirect table. ``room`` is how
    many entries its table has, 0 if unknown. By chain: ``seen`` (walked at all), ``whole`` (up to
    its end), ``looped``, ``elements`` (count).
    """

    row: Indices
    at: Indices
    q: Indices
    chain: Indices
    addr: Ints
    len: Ints
    flags: Indices
    next: Indices
    slot: Indices
    table: Indices
    good: Bools
    element: Bools
    room: Indices
    seen: Bools
    whole: Bools
    looped: Bools
    elements: Ints

    @classmethod
    def read(cls, rings: Rings, adds: Adds) -> Chains:
        """Read the descriptors of the chains, and what they come to."""
        frame = rings.of("desc")
        chain = (np.searchsorted(adds.at, frame.small("at")) - 1).astype(np.int32)
        mine = chain >= 0
        if len(adds.q):
            mine &= adds.q[chain] == frame.small("q")
            mine &= adds.head[chain] == ints(frame, "head")
            mine &= rings.unbroken(adds.at[chain], frame["at"])
        if not mine.all():
            frame, chain = frame.take(mine), chain[mine]
        at, q = frame.small("at"), frame.small("q")
        flags, table = frame.small("flags"), frame.small("table")
        slot, length = frame.small("slot"), ints(frame, "len")
        pointer = (table == 0) & (flags & bits.INDIRECT != 0)
        count = len(adds.q)

        place = key_of(chain * 2 + table, slot, ID_SPAN)
        repeated = np.zeros(len(place), dtype=np.bool_)
        good = ~repeated
        if not (place[1:] > place[:-1]).all():
            order = np.argsort(place, kind="stable")
            repeated[order] = ~first_of(place[order])
            good = grouped_cumsum(repeated.astype(np.int64), chain) == 0

        seen = np.zeros(count, dtype=np.bool_)
        seen[chain] = True
        last = np.ones(len(chain), dtype=np.bool_)
        last[:-1] = chain[1:] != chain[:-1]
        whole = np.zeros(count, dtype=np.bool_)
        whole[chain[last]] = (flags[last] & bits.NEXT == 0) & ~pointer[last]
        looped = np.zeros(count, dtype=np.bool_)
        looped[chain[repeated]] = True
        bytes_of = np.zeros(count, dtype=np.int64)
        bytes_of[chain[pointer]] = length[pointer]
        entries = (bytes_of // bits.DESC_BYTES).astype(np.int32)
        room = np.where(table == 1, entries[chain], rings.size.astype(np.int32)[q])
        return cls(
            row=frame.small("row"),
            at=at,
            q=q,
            chain=chain,
            addr=ints(frame, "addr"),
            len=length,
            flags=flags,
            next=frame.small("next"),
            slot=slot,
            table=table,
            good=good,
            element=~pointer,
            room=room,
            seen=seen,
            whole=whole & ~looped,
            looped=looped,
            elements=np.bincount(chain[~pointer], minlength=count).astype(np.int64),
        )


@dataclass(frozen=True)
class Requests:
    """Block requests in the order in which they were made available.

    By request: ``row at q sector status_addr bytes type segments``; ``chain`` is an index
    into Adds, -1 if unknown; ``status`` and ``len`` are those of its end, -1 where it was
    not seen, and ``done`` that event's row. ``sound`` says that its chain is whole, as far as is
    known: of one that is longer than the queue, or loops, the probe reads only the beginning, and
    takes what it finds there for the request. ``ends`` has the columns of all ends, also of
    those whose start is unknown; ``request`` is the request of each, -1 if unknown.
    """

    row: Ints
    at: Ints
    q: Ints
    chain: Ints
    sector: Ints
    status_addr: Ints
    bytes: Ints
    type: Ints
    segments: Ints
    status: Ints
    len: Ints
    done: Ints
    sound: Bools
    ends: Columns
    request: Ints

    @classmethod
    def read(cls, rings: Rings, adds: Adds, used: Used, pairs: Pairs, chains: Chains) -> Requests:
        """Read the block requests that chains carry."""
        frame, ends = rings.of("blk_start"), rings.of("blk_done")
        at, q, head = ints(frame, "at"), ints(frame, "q"), ints(frame, "head")
        chain = np.searchsorted(adds.at, at) - 1
        if len(adds.q):
            fits = (chain >= 0) & (adds.q[chain] == q) & (adds.head[chain] == head)
            chain = np.where(fits & ~pairs.doubtful[chain], chain, -1)
        # A chain that was lost may have been one that the probe cut.
        sound = np.full(len(chain), not rings.view.events.lost)
        if len(adds.q):
            size = rings.size[adds.q]
            fits = (size == 0) | (adds.chain <= size)
            fits &= ~chains.seen | chains.whole
            sound = np.where(chain >= 0, fits[chain], sound)
        start_of_chain = np.full(len(adds.q) + 1, -1, dtype=np.int64)
        start_of_chain[chain] = np.arange(len(chain))
        start_of_chain[-1] = -1

        # An end belongs to the entry of the same head that was taken last.
        fresh = np.flatnonzero(used.fresh)
        entry = last_before(
            key_of(used.q[fresh], used.id[fresh], ID_SPAN),
            used.at[fresh],
            key_of(ints(ends, "q"), ints(ends, "head"), ID_SPAN),
            ints(ends, "at"),
        )
        taken = fresh[np.maximum(entry, 0)] if len(fresh) else entry
        returned = np.where(entry >= 0, pairs.add_of[taken] if len(fresh) else -1, -1)
        start = start_of_chain[np.where(returned >= 0, returned, -1)]
        status, length, done = (np.full(len(at), -1, dtype=np.int64) for _ in range(3))
        known = start >= 0
        status[start[known]] = ints(ends, "status")[known]
        length[start[known]] = ints(ends, "len")[known]
        done[start[known]] = ints(ends, "row")[known]
        return cls(
            row=ints(frame, "row"),
            at=at,
            q=q,
            chain=chain,
            sector=ints(frame, "sector"),
            status_addr=ints(frame, "status_addr"),
            bytes=ints(frame, "bytes"),
            type=ints(frame, "type"),
            segments=ints(frame, "segments"),
            status=status,
            len=length,
            done=done,
            sound=sound,
            ends=ends,
            request=start,
        )
