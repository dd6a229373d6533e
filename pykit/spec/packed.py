# SPDX-License-Identifier: GPL-2.0-only
"""Packed rings as columns (section 2.8): places in the ring, lists, and what stood in memory.

A position is a slot with its wrap counter (bit 15). Two rounds of a ring of N slots have 2 N
positions; a *place* counts them on, from the queue's set-up::

    place       0 .. N-1   N .. 2N-1   2N .. 3N-1
    wrap           1           0           1

A list (the descriptors of one buffer) takes the places from its ``start`` on; a used descriptor
stands at the place where the one before it ended. A slot's place therefore says which wrap counter
belongs into it, and which used descriptor, if any, the device wrote over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import (
    Bools,
    Columns,
    Ints,
    are,
    first_of,
    grouped_cumsum,
    ints,
    key_of,
    start_of,
)
from pykit.spec.rings import ACCEPTED, PACKED, REFUSED
from pykit.spec.timing import PREEMPTED_TASK
from pykit.trace.capture import RECORDED

if TYPE_CHECKING:
    from pykit.spec.view import View

WRAP_BIT = 1 << 15
AVAIL_BIT, USED_BIT = 7, 15
#: Values of event suppression flags.
ENABLE, DISABLE, AT_DESC = 0, 1, 2
#: Head of a list whose buffer id the observer could not tell.
UNKNOWN_ID = 0xFFFF
#: ``pos`` of a slot that belongs to no list: used out of its turn.
STRAY = 0xFFFF
#: More places than a trace can have.
PLACES = 1 << 44


def slot_of(position: Ints) -> Ints:
    """By row: the slot of a position."""
    slot: Ints = position & (WRAP_BIT - 1)
    return slot


def cycle(position: Ints, size: Ints) -> Ints:
    """By row: a position as a number below twice the queue size."""
    return slot_of(position) + np.where(position & WRAP_BIT, 0, size)


def ahead(position: Ints, before: Ints, size: Ints) -> Ints:
    """By row: how many slots a position is ahead of another one, by two rounds at most."""
    span = np.maximum(2 * size, 1)
    step: Ints = (cycle(position, size) - cycle(before, size)) % span
    return step


def requests(flags: Ints, event: Ints, old: Ints, new: Ints, size: Ints) -> tuple[Bools, Bools]:
    """Return where a suppression structure requests an event for the slots from old up to new.

    The second column is false where the structure's values are not defined (flags 3, an offset
    outside the ring).
    """
    inside = ahead(event, old, size) < ahead(new, old, size)
    wanted = (flags == ENABLE) | ((flags == AT_DESC) & inside)
    sound = (flags == ENABLE) | (flags == DISABLE)
    sound |= (flags == AT_DESC) & (slot_of(event) < size)
    return wanted, sound


def is_packed(view: View, q: Ints) -> Bools:
    """By row: whether its queue is a packed one of known size."""
    rings = view.rings
    if not len(rings.queue):
        return np.zeros(len(q), dtype=np.bool_)
    packed: Bools = (rings.layout[q] == PACKED) & (rings.size[q] > 0)
    return packed


def one_by_one(view: View, q: Ints) -> Bools:
    """By row: its queue returns each list by a used descriptor of its own: not with IN_ORDER."""
    if not len(view.rings.queue):
        return np.zeros(len(q), dtype=np.bool_)
    single: Bools = view.rings.feature(bits.IN_ORDER)[q] != 1
    return single


@dataclass(frozen=True)
class Lists:
    """Lists made available on packed rings, in order.

    Attributes:
        row, at, q: of the event ``add``.
        add: index into ``view.adds``.
        start, slots: the first place, and how many there are.
        base: by q: the place at which its first list starts.
    """

    row: Ints
    at: Ints
    q: Ints
    add: Ints
    start: Ints
    slots: Ints
    base: Ints

    @property
    def end(self) -> Ints:
        """The place behind each list."""
        return self.start + self.slots


def lists(view: View) -> Lists:
    """Return all lists of packed rings."""
    return view.keep("packed lists", _read_lists)


def _read_lists(view: View) -> Lists:
    rings = view.rings
    frame = rings.of("add")
    pick = np.flatnonzero(is_packed(view, ints(frame, "q")))
    q, slots = ints(frame, "q")[pick], ints(frame, "slots")[pick]
    size = rings.size[q]
    span = np.maximum(2 * size, 1)
    first = first_of(q)
    begin = (cycle(ints(frame, "avail_idx")[pick], size) - slots) % span
    start = grouped_cumsum(slots, q) - slots
    start += begin[start_of(q)] if len(q) else begin
    base = np.zeros(len(rings.queue), dtype=np.int64)
    base[q[first]] = begin[first]
    row, at = ints(frame, "row")[pick], ints(frame, "at")[pick]
    return Lists(row, at, q, pick, start, slots, base)


@dataclass(frozen=True)
class Entries:
    """Used descriptors as the driver found them on packed rings, in order.

    Queues with IN_ORDER are left out: there one stands for a batch, and the observer does not
    follow which lists that are.

    Attributes:
        row, at, q, id, len, accepted: of the event ``used``.
        refused: by the driver, and the descriptor stayed as it was.
        used: index into ``view.used``.
        place: where it stood.
        fresh: the driver looks at this place for the first time.
        list: index into ``Lists`` of the list that it returns, -1 if none is outstanding with
            this id by the ring's memory.
        again: the id was returned before, and was not made available since.
    """

    row: Ints
    at: Ints
    q: Ints
    id: Ints
    len: Ints
    accepted: Bools
    refused: Bools
    used: Ints
    place: Ints
    fresh: Bools
    list: Ints
    again: Bools


def entries(view: View) -> Entries:
    """Return all used descriptors of packed rings."""
    return view.keep("packed entries", _read_entries)


def _read_entries(view: View) -> Entries:
    rings = view.rings
    frame = rings.of("used")
    q = ints(frame, "q")
    pick = np.flatnonzero(is_packed(view, q) & one_by_one(view, q))
    q, index = ints(frame, "q")[pick], ints(frame, "index")[pick]
    size = rings.size[q]
    step = np.zeros(len(q), dtype=np.int64)
    step[1:] = ahead(index[1:], index[:-1], size[1:])
    first = first_of(q)
    base = lists(view).base[q] if len(q) else q
    step[first] = ((cycle(index, size) - base) % np.maximum(2 * size, 1))[first]
    place = base + grouped_cumsum(step, q)
    at, id_ = ints(frame, "at")[pick], ints(frame, "id")[pick]
    fresh = first | (step > 0)
    returned, again = _returned(view, q, at, id_, fresh)
    return Entries(
        row=ints(frame, "row")[pick],
        at=at,
        q=q,
        id=id_,
        len=ints(frame, "len")[pick],
        accepted=ints(frame, "accepted")[pick] == ACCEPTED,
        refused=ints(frame, "accepted")[pick] == REFUSED,
        used=pick,
        place=place,
        fresh=fresh,
        list=returned,
        again=again,
    )


def _returned(view: View, q: Ints, at: Ints, id_: Ints, fresh: Bools) -> tuple[Ints, Bools]:
    """By entry: the list that it returns, and whether it returns one again."""
    mine, known = lists(view), ids(view)
    returned = np.full(len(q), -1, dtype=np.int64)
    again = np.zeros(len(q), dtype=np.bool_)
    added, taken = np.flatnonzero(known >= 0), np.flatnonzero(fresh)
    count = len(added)
    key = np.concatenate(
        [key_of(mine.q[added], known[added], 1 << 32), key_of(q[taken], id_[taken], 1 << 32)]
    )
    order = np.lexsort((np.concatenate([mine.at[added], at[taken]]), key))
    is_taken = order >= count
    same = ~first_of(key[order])
    behind = np.zeros(len(order), dtype=np.bool_)
    behind[1:] = is_taken[:-1]
    hit = np.flatnonzero(is_taken & same & ~behind)
    returned[taken[order[hit] - count]] = added[order[hit - 1]]
    again[taken[order[is_taken & same & behind] - count]] = True
    return returned, again


@dataclass(frozen=True)
class Slots:
    """Ring descriptors of lists as they stood in memory right after the add, in order.

    Attributes:
        row, at, q, slot, id, len, flags: of the event ``slot``.
        list: index into ``Lists``.
        place: where it stands.
        last: it is its list's last descriptor.
        mine: its flags are those of an available descriptor: the device had not used it yet.
    """

    row: Ints
    at: Ints
    q: Ints
    slot: Ints
    id: Ints
    len: Ints
    flags: Ints
    list: Ints
    place: Ints
    last: Bools
    mine: Bools


def slots(view: View) -> Slots:
    """Return all descriptors of lists, as far as the tracepoints report memory."""
    return view.keep("packed slots", _read_slots)


def _read_slots(view: View) -> Slots:
    found = lists(view)
    frame = view.rings.of("slot")
    at, q, pos = ints(frame, "at"), ints(frame, "q"), ints(frame, "pos")
    # They are traced right before their list's add.
    owner = np.searchsorted(found.at, at)
    fits = (owner < len(found.at)) & (pos != STRAY)
    owner = np.minimum(owner, max(len(found.at) - 1, 0))
    if len(found.at):
        fits &= (found.q[owner] == q) & (pos < found.slots[owner])
    pick = np.flatnonzero(fits)
    owner, pos = owner[pick], pos[pick]
    place = found.start[owner] + pos
    flags = ints(frame, "flags")[pick]
    return Slots(
        row=ints(frame, "row")[pick],
        at=at[pick],
        q=q[pick],
        slot=ints(frame, "slot")[pick],
        id=ints(frame, "id")[pick],
        len=ints(frame, "len")[pick],
        flags=flags,
        list=owner,
        place=place,
        last=pos == found.slots[owner] - 1,
        mine=(flags >> AVAIL_BIT & 1) != (flags >> USED_BIT & 1),
    )


def ids(view: View) -> Ints:
    """By list: its buffer id in memory; -1 where the device had overwritten it."""
    return view.keep("packed ids", _read_ids)


def _read_ids(view: View) -> Ints:
    found, memory = lists(view), slots(view)
    known: Ints = view.adds.head[found.add].copy()
    known[known == UNKNOWN_ID] = -1
    readable = memory.last & memory.mine
    known[memory.list[readable]] = memory.id[readable]
    return known


def overwritten(view: View) -> tuple[Ints, Bools]:
    """By slot: the entry of the same place, -1 if there is none; and whether that is settled.

    It is settled where the driver found a used descriptor at this place or at a later one, or
    where the trace goes on for so long that the driver would have found it. An entry that the
    device did not write, by QEMU's log, is none.
    """
    return view.keep("packed overwritten", _overwritten)


def _overwritten(view: View) -> tuple[Ints, Bools]:
    memory, taken = slots(view), entries(view)
    there = np.full(len(memory.q), -1, dtype=np.int64)
    fresh = np.flatnonzero(taken.fresh & ~_never_filled(view))
    key = key_of(taken.q[fresh], taken.place[fresh], PLACES)
    wanted = key_of(memory.q, memory.place, PLACES)
    found = np.searchsorted(key, wanted)
    if len(key):
        found = np.minimum(found, len(key) - 1)
        hit = key[found] == wanted
        there[hit] = fresh[found[hit]]
    furthest = np.full(len(view.rings.queue), -1, dtype=np.int64)
    np.maximum.at(furthest, taken.q, taken.place)
    settled = furthest[memory.q] >= memory.place if len(memory.q) else memory.last
    ts = view.base("ts")[memory.row].astype(np.int64)
    settled = settled | (view.end[0] - ts >= PREEMPTED_TASK)
    return there, settled & one_by_one(view, memory.q)


def _never_filled(view: View) -> Bools:
    """By entry: the device used fewer descriptors of this queue in all, by QEMU's log.

    Only of queues that were seen from their set-up on and set up once, where the log has the
    device's status writes: else it may have another use of the queue, or none.
    """
    taken, rings = entries(view), view.rings
    never = np.zeros(len(taken.q), dtype=np.bool_)
    outcome = view.events.capture.outcome.kind
    if not len(taken.q) or "qemu" not in view.sources or outcome == RECORDED:
        return never
    done = np.zeros(len(rings.queue), dtype=np.int64)
    for q, (dev, life, _) in enumerate(rings.queue):
        known = rings.alone[q] and rings.whole[q] and dev not in view.elsewhere
        done[q] = 0 if known and view.life(dev, life).written else PLACES
    written = completed(view).key // PLACES
    np.add.at(done, written, 1)
    number = grouped_cumsum(taken.fresh.astype(np.int64), taken.q)
    never = number > done[taken.q]
    return np.asarray(never, dtype=np.bool_)


def traced(view: View, kind: str, *names: str) -> bool:
    """Whether the tracepoints of a kind have these fields: old captures lack some."""
    frame = view.events.frames.own.get(kind)
    if frame is None or not {*names} <= {*frame.columns}:
        return False
    return all(frame[name].null_count() < frame.height for name in names)


def recorded(view: View) -> bool:
    """Whether the tracepoints report ring memory of packed rings (event ``slot``)."""
    return "slot" in view.kinds


class Wishes(NamedTuple):
    """What the device requested of notifications at each decision of the driver, or its adds.

    Attributes:
        requested: it requested one of the new descriptors, at the first reading.
        stable: both readings request the same, and their values are defined.
        of_one: it requested a notification of one descriptor (flags 2), not of all or none.
        new: there are new descriptors since the last decision.
    """

    requested: Bools
    stable: Bools
    of_one: Bools
    new: Bools


def device_wishes(view: View, frame: Columns) -> Wishes:
    """Read the device event suppression structure of events that have it (packed rings)."""
    size = view.rings.size[ints(frame, "q")]
    old, new = ints(frame, "old"), ints(frame, "new")
    flags, event = ints(frame, "flags"), ints(frame, "event")
    requested, sound = requests(flags, event, old, new, size)
    later = ints(frame, "event_after")
    stable = (flags == ints(frame, "flags_after")) & ((flags != AT_DESC) | (event == later))
    return Wishes(requested, stable & sound, flags == AT_DESC, ahead(new, old, size) > 0)


class Completed(NamedTuple):
    """Completions of packed queues by QEMU's log, sorted by queue: ``key`` is queue and number.

    ``list`` is the number of the list within its queue, -1 if the log does not show it taken.
    """

    key: Ints
    row: Ints
    list: Ints


def completed(view: View) -> Completed:
    """Return the completions of packed queues that were seen from their set-up on."""
    return view.keep("packed completions", _read_completed)


def _read_completed(view: View) -> Completed:
    rings = view.rings
    places = {
        name: q
        for q, name in enumerate(rings.queue)
        if rings.alone[q] and rings.whole[q] and rings.layout[q] == PACKED
    }
    keys, rows, popped = [], [], []
    for name, part in view.columns("dev_pop", "dev_fill").by_queue().items():
        q = places.get(name, -1)
        if q < 0:
            continue
        pop = are(part, "dev_pop")
        elem = part["elem"]
        number = np.cumsum(pop) - 1
        fills = np.flatnonzero(~pop)
        keys.append(key_of(np.full(len(fills), q), np.arange(len(fills)), PLACES))
        rows.append(part["row"][fills])
        last = _last_pop(elem, number, pop, fills)
        if view.life(*name[:2]).id == bits.NET_ID:
            last[last >= _first_unfilled(last)] = -1
        popped.append(last)
    none = [np.zeros(0, dtype=np.int64)]
    key = np.concatenate(keys or none)
    order = np.argsort(key, kind="stable")
    return Completed(
        key[order], np.concatenate(rows or none)[order], np.concatenate(popped or none)[order]
    )


def _first_unfilled(popped: Ints) -> int:
    """Return the number of the first chain popped that was not filled, though a later one was.

    QEMU's network device hands a chain back where a packet does not fit in it, without a line in
    the log: it pops that one again.
    """
    return int(np.setdiff1d(np.arange(popped.max(initial=-1) + 2), popped)[0])


def _last_pop(elem: Ints, number: Ints, pop: Bools, fills: Ints) -> Ints:
    """By fill: number of the last chain popped before it with the same element; -1 if none."""
    order = np.lexsort((np.arange(len(elem)), elem))
    latest = np.where(pop[order], number[order], -1)
    first = first_of(elem[order])
    rank = np.cumsum(first) - 1
    span = int(number.max(initial=0)) + 2
    carried = np.maximum.accumulate(latest + 1 + rank * span) - 1 - rank * span
    by_row = np.empty(len(elem), dtype=np.int64)
    by_row[order] = carried
    return by_row[fills]
