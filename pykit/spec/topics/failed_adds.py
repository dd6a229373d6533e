# SPDX-License-Identifier: GPL-2.0-only
"""Adds that failed, and the notifications that came of them (section 2.7.10).

An add that finds no room may notify the device itself, whatever the device requested: Linux's
does. The driver may notify once more when the add has failed. One task's events on a queue::

        kick?        refused: the add fails       notify          notify
     -----+---------------+--------------------------+---------------+------> time
          |          event | event_after             |               |
          |               '-- suppressed in between? |               |
          |                                     by the core,    by the driver,
          '- does this decision owe a           inside the      without a decision
             notification? Then the first       add (notified)
             one behind it is the decision's

Such a notification belongs to no decision before or after it. It does not break the rules on
decisions, and a decision that owed one is not satisfied by it. It is checked on its own, against
what the device requested while the add failed (``superfluous``), by the rules of ``notify.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pykit.spec.arrays import (
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
from pykit.spec.model import Result
from pykit.spec.rings import SPLIT
from pykit.spec.rows import Rows
from pykit.spec.timing import AT_ONCE
from pykit.spec.view import View


@dataclass(frozen=True)
class FailedAdds:
    """Adds on split rings that failed, in order.

    Attributes:
        row, at, q: of the event.
        old, new: available indices: entries from old up to new are not notified yet.
        event_idx: whether EVENT_IDX holds.
        suppressed: at no moment of the add did the device request a notification of these.
        requested: the device requested one when the add began.
        by_core: row of the notification inside the add, -1 if none.
        by_driver: row of the driver's own one right behind it, -1 if none.
        at_once: the driver's own one came at once.
        known: which entries were not notified yet is known.
    """

    row: Ints
    at: Ints
    q: Ints
    old: Ints
    new: Ints
    event_idx: Bools
    suppressed: Bools
    requested: Bools
    by_core: Ints
    by_driver: Ints
    at_once: Bools
    known: Bools

    @property
    def notifications(self) -> Ints:
        """Rows of all notifications that belong to no decision."""
        rows = np.concatenate([self.by_core, self.by_driver])
        return rows[rows >= 0]


def failed_adds(view: View) -> FailedAdds:
    """Return all adds on split rings that failed."""
    return view.keep("failed adds", _read)


def tasks_of(view: View, frame: Columns) -> Ints:
    """Return a number for each event's task: idle tasks, which share pid 0, differ by CPU."""
    pid = view.rings.base_of(frame, "pid")
    return np.where(pid == 0, -1 - view.rings.base_of(frame, "cpu", absent=-1), pid)


def by_task(view: View, frame: Columns) -> tuple[Columns, Ints]:
    """Sort queue events by queue, task and order; return them with their tasks."""
    task = tasks_of(view, frame)
    order = np.lexsort((task, ints(frame, "q")))
    return frame.take(order), task[order]


def _read(view: View) -> FailedAdds:
    rings = view.rings
    if not len(rings.of("add_failed")):
        return _none()
    frame, task = by_task(view, rings.of("add", "kick", "notify", "add_failed"))
    q, row, at = ints(frame, "q"), ints(frame, "row"), ints(frame, "at")
    failed = are(frame, "add_failed") & (rings.layout[q] == SPLIT)
    event_idx = rings.event_idx(q, ints(frame, "event_idx"))
    by_core, by_driver = _notifications(frame, task, np.flatnonzero(failed), event_idx)
    suppressed, requested = _suppression(frame, event_idx)
    # After a late join it is unknown which entries are new, up to the queue's first decision.
    first_kick = np.full(len(rings.queue), NEVER)
    kick = are(frame, "kick")
    np.minimum.at(first_kick, q[kick], at[kick])
    pick = np.flatnonzero(failed)
    pick = pick[np.argsort(at[pick])]
    ts = rings.base_of(frame, "ts")
    soon = ts[np.maximum(by_driver, 0)] - ts <= AT_ONCE if len(ts) else failed
    return FailedAdds(
        row=row[pick],
        at=at[pick],
        q=q[pick],
        old=ints(frame, "old")[pick],
        new=ints(frame, "new")[pick],
        event_idx=event_idx[pick],
        suppressed=suppressed[pick],
        requested=requested[pick],
        by_core=np.where(by_core >= 0, row[by_core], -1)[pick],
        by_driver=np.where(by_driver >= 0, row[by_driver], -1)[pick],
        at_once=soon[pick],
        known=(rings.whole[q] | (at > first_kick[q]))[pick],
    )


def _none() -> FailedAdds:
    rows, no = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
    return FailedAdds(rows, rows, rows, rows, rows, no, no, no, rows, rows, no, no)


def _suppression(frame: Columns, event_idx: Bools) -> tuple[Bools, Bools]:
    """By row: were notifications suppressed all the time; were they requested at first.

    The core's notification falls between the two readings of the event index, and may be what
    changed it: the core may have met any value between the two.
    """
    old, new = ints(frame, "old"), ints(frame, "new")
    event, after = ints(frame, "event"), ints(frame, "event_after")
    count = (new - old) % WRAP
    first, last = signed16(event - old), signed16(after - old)
    met = (np.minimum(first, last) < count) & (np.maximum(first, last) >= 0) & (count > 0)
    suppressed: Bools = np.where(event_idx, ~met, event & after & 1 == 1)
    requested: Bools = np.where(event_idx, need_event(event, new, old), event & 1 == 0)
    return suppressed, requested


def _notifications(frame: Columns, task: Ints, failed: Ints, event_idx: Bools) -> tuple[Ints, Ints]:
    """By row: where the notification of a failed add is, the core's and the driver's own; -1."""
    q, is_notify, is_kick = ints(frame, "q"), are(frame, "notify"), are(frame, "kick")
    core_notified, is_failed = ints(frame, "notified") == 1, are(frame, "add_failed")
    event, old, new = ints(frame, "event"), ints(frame, "old"), ints(frame, "new")
    owing = is_kick & np.where(event_idx, need_event(event, new, old), event & 1 == 0)
    owing |= is_kick & (ints(frame, "needed") == 1)
    by_core, by_driver = (np.full(len(q), -1, dtype=np.int64) for _ in range(2))
    taken = np.zeros(len(q), dtype=np.bool_)

    def same(i: int, j: int) -> bool:
        return 0 <= j < len(q) and bool(q[j] == q[i] and task[j] == task[i])

    def following(i: int) -> int:
        """The next event of the same task and queue that is no add's notification; -1: none."""
        j = i + 1
        while j < len(q) and taken[j]:
            j += 1
        return j if same(i, j) else -1

    for i in failed[core_notified[failed]].tolist():
        # It is traced right behind the add, but for the events of an interrupt in between.
        j = following(i)
        while j >= 0 and not is_notify[j]:
            j = following(j)
        if j >= 0:
            by_core[i], taken[j] = j, True
    for i in failed.tolist():
        j = following(i)
        if j < 0 or not is_notify[j]:
            continue
        # An add in an interrupt may fail between a decision and its notification.
        k = i - 1
        while same(i, k) and (taken[k] or is_failed[k]):
            k -= 1
        if not same(i, k) or not owing[k]:
            by_driver[i], taken[j] = j, True
    return by_core, by_driver


def notified_before(view: View, q: Ints, at: Ints, old: Ints, new: Ints) -> Bools:
    """By decision: did a failed add before it notify of the very same entries.

    The device was notified after they had been made available: it misses nothing if the decision
    does not notify once more.
    """
    f = failed_adds(view)
    notified = np.flatnonzero(f.by_core >= 0)
    if not len(notified):
        return np.zeros(len(q), dtype=np.bool_)
    last = last_before(f.q[notified], f.at[notified], q, at)
    add = notified[np.maximum(last, 0)]
    same: Bools = (last >= 0) & f.known[add] & (f.old[add] == old) & (f.new[add] == new)
    return same


def superfluous(view: View, *, event_idx: bool) -> Result:
    """Check notifications that came of failed adds, where the device had suppressed them.

    Checked: each failed add during which the device suppressed notifications all the time.

    - Without EVENT_IDX the flag may have been cleared and set again between its two readings, so
      that violations count only where they are the majority (see ``contradicts``).
    - A notification by the driver that did not come at once may be the doing of code that is not
      traced: undecided, as is an add during which the suppression changed.
    """
    f = failed_adds(view)
    chosen = (f.event_idx == event_idx) & f.known
    own = f.by_driver >= 0
    late = own & ~f.at_once
    by_core = chosen & f.suppressed & (f.by_core >= 0)
    by_driver = chosen & f.suppressed & own & ~late
    judged = chosen & f.suppressed & (by_core | ~late)
    if not event_idx:
        unconfirmed = np.zeros_like(judged)
        by_core = contradicts(judged, by_core, unconfirmed)
        by_driver = contradicts(judged, by_driver, unconfirmed)
    adds = Rows.of(view.rings, f)
    found = adds.violations(
        ~by_core,
        "{queue}: notification by an add that found no room",
        shown=("row", "by_core"),
    ) + adds.violations(
        ~by_driver,
        "{queue}: notification behind an add that failed, without a decision",
        shown=("row", "by_driver"),
    )
    doubtful = chosen & ~f.requested & ~judged & ((f.by_core >= 0) | own)
    return Result(
        int(judged.sum()),
        found,
        int(doubtful.sum()),
        doubt="the device's suppression changed while an add failed",
    )
