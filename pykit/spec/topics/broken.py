# SPDX-License-Identifier: GPL-2.0-only
"""Drivers of devices that need a reset (section 2.1.1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Columns, are, ints
from pykit.spec.circumstances import shows_needs_reset
from pykit.spec.lives import Life, needs_reset
from pykit.spec.model import Result, rule
from pykit.spec.reclaimed import request_queues
from pykit.spec.rows import Tally
from pykit.spec.timing import PREEMPTED_TASK
from pykit.spec.view import View
from pykit.trace.capture import STATUS_QUERY
from pykit.trace.kinds import BROKEN, DELETED


class _Request(NamedTuple):
    """A request: the row of its add, and those that end the wait for it."""

    add: int
    ends: tuple[int, ...]


class _Wait(NamedTuple):
    """How long a request, whose add is a row, was waited for, and whether that is over."""

    add: int
    ns: int
    over: bool


@rule(
    "ST-DR-04",
    needs=("driver:add", "driver:used", "driver:queue", "driver:detach", "driver:status"),
)
def broken_device_is_not_waited_for(view: View) -> Result:
    """Section 2.1.1: the driver does not rely on requests being completed while
    DEVICE_NEEDS_RESET is set.

    Checked: each life in which the driver was shown the bit, and had requests with the device then
    or gave it more. It read a status with the bit, or it received a configuration change
    notification, and by QMP the bit was set at the end, the device having used nothing since. It
    does not wait for them: within 10 s it resets the device, takes a request back, or gives up a
    queue or the device, unless all of them came back before that. What it assumes of these is not
    visible. Queues whose buffers wait for something to happen do not count.

    Undecided: it has done nothing of this, and the trace ends less than 10 s after that, or after
    the first of these requests: a task of the driver may have been preempted.
    """
    tally = Tally(
        none="no driver with requests was shown DEVICE_NEEDS_RESET",
        doubt="the driver has not acted, and the trace ends within 10 s or has no times",
    )
    for life in view.lives.values():
        row = _shown(view, life)
        # The legacy interface has no such bit.
        if row is None or life.modern is False:
            continue
        waits = [_wait(view, row, request) for request in _requests(view, life, row)]
        if not waits:
            continue
        longest = max(waits, key=lambda wait: wait.ns)
        if longest.ns < PREEMPTED_TASK and not all(wait.over for wait in waits):
            tally.undecided()
            continue
        text = f"{life.name}: DEVICE_NEEDS_RESET is set, and the driver waits for requests"
        tally.check(longest.ns < PREEMPTED_TASK, (row, longest.add), text)
    return tally.result()


def _shown(view: View, life: Life) -> int | None:
    """Return the row that first showed the driver the bit; None if none did."""
    rows = [s.row for s in life.status if s.op == bits.STATUS_READ and needs_reset(s.value)]
    rows += [change.row for change in life.changes if needs_reset(change.status)]
    if rows:
        return min(rows)
    if not life.changes or not _set_at_the_end(view, life):
        return None
    last = life.changes[-1].row
    used = _by_life(view, "used").get((life.dev, life.number))
    return None if used is not None and int(used["row"].max()) > last else last


def _by_life(view: View, *kinds: str) -> dict[tuple[int, int], Columns]:
    return view.keep(
        "lives of a broken device: " + " ".join(kinds),
        lambda view: view.columns(*kinds).by_life(),
    )


def _set_at_the_end(view: View, life: Life) -> bool:
    """Return whether the bit was set when QMP was last asked, in the last life of a device."""
    found = False
    for answer in view.events.capture.qmp:
        if answer.query == STATUS_QUERY and view.events.devices.get(answer.device) == life.dev:
            found = shows_needs_reset(answer.answer)
    return found and (life.dev, life.number + 1) not in view.lives


def _requests(view: View, life: Life, row: int) -> list[_Request]:
    """Return the requests that the device had at a row, or got later and before the driver acted.

    Of queues that were not seen from their set-up on it is not known which it had.
    """
    rings, adds, used = view.rings, view.adds, view.used
    queues = np.zeros(len(rings.queue), dtype=np.bool_)
    queues[rings.of_life.get((life.dev, life.number), [])] = True
    queues &= request_queues(view) & rings.whole
    act = _gives_up(view, life, row)
    found = []
    for i in np.flatnonzero(queues[adds.q] & ~view.pairs.doubtful).tolist():
        entry, add = int(view.pairs.used_of[i]), int(adds.row[i])
        back = int(used.row[entry]) if entry >= 0 else None
        if (back is None or back > row) and (act is None or add < act):
            found.append(_Request(add, tuple(at for at in (back, act) if at is not None)))
    return found


def _wait(view: View, row: int, request: _Request) -> _Wait:
    """Return how long a request was waited for behind a row; -1 where that is not known."""
    times = view.events.base["ts"]
    begin, ends = times[max(row, request.add)], [times[at] for at in request.ends]
    if begin is None or None in ends:
        return _Wait(request.add, -1, False)
    return _Wait(request.add, min([*ends, view.end[0]]) - begin, bool(ends))


def _gives_up(view: View, life: Life, row: int) -> int | None:
    """Return the row, behind another, at which the driver resets the device, or gives up a queue
    or the device; None if there is none."""
    rows = [s.row for s in life.status if s.op == bits.STATUS_RESET]
    rows += [s.row for s in life.stages if s.stage in (bits.REMOVE, bits.FREEZE)]
    events = _by_life(view, "queue", "detach").get((life.dev, life.number))
    if events is not None:
        ended = np.isin(ints(events, "op"), (BROKEN, DELETED)) | are(events, "detach")
        rows += events["row"][ended].tolist()
    return min((at for at in rows if at > row), default=None)
