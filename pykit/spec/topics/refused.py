# SPDX-License-Identifier: GPL-2.0-only
"""Adds that failed, and the doorbells that came of them (section 2.7.10).

An add that finds no room may ring the doorbell itself, as Linux's does, whatever the device
asked for. Such a doorbell is not the doing of a decision made before or after it: it is no
breach of theirs, and no decision that owed one has rung because of it. It is judged by
what the device asked for when it came.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pykit.spec.arrays import (
    AT_ONCE,
    NEVER,
    WRAP,
    Bools,
    Columns,
    Ints,
    are,
    contradicts,
    ints,
    last_before,
    need_event,
    signed16,
)
from pykit.spec.model import Result, breaches
from pykit.spec.rings import SPLIT
from pykit.spec.view import View


@dataclass(frozen=True)
class Refusals:
    """Adds on split rings that failed.

    By add: ``row at q old new event_idx`` (mode), ``unasked`` (in no moment of it did the device
    ask for what was new), ``asked`` (it did before), ``bell`` (row of the doorbell that it rang,
    -1: none), ``own`` (row of one that the driver rang right behind it without a decision, -1:
    none), ``at_once`` (that one came at once), ``known`` (what was new is).
    """

    row: Ints
    at: Ints
    q: Ints
    old: Ints
    new: Ints
    event_idx: Bools
    unasked: Bools
    asked: Bools
    bell: Ints
    own: Ints
    at_once: Bools
    known: Bools

    @property
    def bells(self) -> Ints:
        """Rows of all doorbells that are no decision's."""
        rows = np.concatenate([self.bell, self.own])
        return rows[rows >= 0]


def refusals(view: View) -> Refusals:
    """All adds on split rings that failed."""
    return view.keep("refusals", _read)


def tasks_of(view: View, frame: Columns) -> Ints:
    """Which task an event is of. The idle tasks of all CPUs have the same number."""
    pid = view.rings.base_of(frame, "pid")
    return np.where(pid == 0, -1 - view.rings.base_of(frame, "cpu", absent=-1), pid)


def _read(view: View) -> Refusals:
    rings = view.rings
    if not len(rings.of("refused")):
        return _none()
    frame = rings.of("add", "kick", "notify", "refused")
    task = tasks_of(view, frame)
    # What stands in the order of ``at`` is in that of q already.
    order = np.lexsort((task, ints(frame, "q")))
    frame, task = frame.take(order), task[order]
    q, row, at = ints(frame, "q"), ints(frame, "row"), ints(frame, "at")
    chosen = are(frame, "refused") & (rings.layout[q] == SPLIT)
    mode = rings.event_idx(q, ints(frame, "event_idx"))
    bell, own = _bells(frame, task, np.flatnonzero(chosen), mode)

    unasked, asked = _wishes(frame, mode)
    # Who joined a queue does not know what was new before the first decision that he saw.
    first = np.full(len(rings.queue), NEVER)
    decided = are(frame, "kick")
    np.minimum.at(first, q[decided], at[decided])
    pick = np.flatnonzero(chosen)
    pick = pick[np.argsort(at[pick])]
    ts = rings.base_of(frame, "ts")
    soon = ts[np.maximum(own, 0)] - ts <= AT_ONCE if len(ts) else chosen
    return Refusals(
        row=row[pick],
        at=at[pick],
        q=q[pick],
        old=ints(frame, "old")[pick],
        new=ints(frame, "new")[pick],
        event_idx=mode[pick],
        unasked=unasked[pick],
        asked=asked[pick],
        bell=np.where(bell >= 0, row[bell], -1)[pick],
        own=np.where(own >= 0, row[own], -1)[pick],
        at_once=soon[pick],
        known=(rings.whole[q] | (at > first[q]))[pick],
    )


def _none() -> Refusals:
    rows, no = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
    return Refusals(rows, rows, rows, rows, rows, no, no, no, rows, rows, no, no)


def _wishes(frame: Columns, mode: Bools) -> tuple[Bools, Bools]:
    """Whether the device asked for what was new: in no moment of the add; before it.

    The doorbell was in the middle, and the second reading may be what came of it: with the event
    index, all values between the two readings are ones that it may have met.
    """
    old, new = ints(frame, "old"), ints(frame, "new")
    event, after = ints(frame, "event"), ints(frame, "event_after")
    count = (new - old) % WRAP
    first, last = signed16(event - old), signed16(after - old)
    met = (np.minimum(first, last) < count) & (np.maximum(first, last) >= 0) & (count > 0)
    unasked: Bools = np.where(mode, ~met, event & after & 1 == 1)
    asked: Bools = np.where(mode, need_event(event, new, old), event & 1 == 0)
    return unasked, asked


def _bells(frame: Columns, task: Ints, failed: Ints, mode: Bools) -> tuple[Ints, Ints]:
    """By row of ``frame``: where the doorbell is that an add rang, and the driver's own."""
    q, is_notify, is_kick = ints(frame, "q"), are(frame, "notify"), are(frame, "kick")
    rang, is_refused = ints(frame, "rang") == 1, are(frame, "refused")
    event, old, new = ints(frame, "event"), ints(frame, "old"), ints(frame, "new")
    owing = is_kick & np.where(mode, need_event(event, new, old), event & 1 == 0)
    owing |= is_kick & (ints(frame, "needed") == 1)
    bell, own = (np.full(len(q), -1, dtype=np.int64) for _ in range(2))
    taken = np.zeros(len(q), dtype=np.bool_)

    def following(i: int) -> int:
        """The next event of the same task and queue that is no add's doorbell; -1: none."""
        j = i + 1
        while j < len(q) and taken[j]:
            j += 1
        return j if j < len(q) and q[j] == q[i] and task[j] == task[i] else -1

    for i in failed[rang[failed]].tolist():
        # Told at once, but for an interrupt's events in between.
        j = following(i)
        while j >= 0 and not is_notify[j]:
            j = following(j)
        if j >= 0:
            bell[i], taken[j] = j, True
    for i in failed.tolist():
        j = following(i)
        if j < 0 or not is_notify[j]:
            continue
        # An interrupt's add may have come between a decision and its doorbell.
        k = i - 1
        while k >= 0 and (taken[k] or is_refused[k]) and q[k] == q[i] and task[k] == task[i]:
            k -= 1
        if k < 0 or q[k] != q[i] or task[k] != task[i] or not owing[k]:
            own[i], taken[j] = j, True
    return bell, own


def answered(view: View, q: Ints, at: Ints, old: Ints, new: Ints) -> Bools:
    """By decision: whether an add that failed had rung before it, for the very same entries.

    The device was notified after they had been made available: it misses nothing if the decision
    does not ring once more.
    """
    r = refusals(view)
    rang = np.flatnonzero(r.bell >= 0)
    last = last_before(r.q[rang], r.at[rang], q, at)
    if not len(rang):
        return np.zeros(len(q), dtype=np.bool_)
    found = rang[np.maximum(last, 0)]
    same: Bools = (last >= 0) & r.known[found] & (r.old[found] == old) & (r.new[found] == new)
    return same


def unasked(view: View, *, event_idx: bool) -> Result:
    """Doorbells that came of adds that failed, where the device had not asked for one."""
    r = refusals(view)
    chosen = (r.event_idx == event_idx) & r.known
    late = (r.own >= 0) & ~r.at_once
    inside = chosen & r.unasked & (r.bell >= 0)
    behind = chosen & r.unasked & (r.own >= 0) & ~late
    judged = chosen & r.unasked & (inside | ~late)
    if not event_idx:
        # A flag may change and change back meanwhile.
        inside = contradicts(judged, inside, np.zeros_like(inside))
        behind = contradicts(judged, behind, np.zeros_like(behind))
    name = view.rings.name
    found = breaches(
        inside, lambda i: f"{name(r.q[i])}: doorbell by an add that found no room", r.row, r.bell
    )
    found += breaches(
        behind,
        lambda i: f"{name(r.q[i])}: doorbell behind an add that failed, without a decision",
        r.row,
        r.own,
    )
    doubtful = chosen & ~r.asked & ~judged & ((r.bell >= 0) | (r.own >= 0))
    return Result(
        int(judged.sum()),
        found,
        int(doubtful.sum()),
        doubt="what the device asked for changed while an add failed",
    )
