# SPDX-License-Identifier: GPL-2.0-only
"""Fields that have no influence on used buffer notifications (section 2.7.7).

The driver's own events alone decide here::

    callback            the entry is used       interrupt?      callback, add
    --------+--------------------+------------------+----------------+------> the queue's order
      used_event, flags          |<--- came, or was waited for ----->|

A callback asks for the interrupt of the entry that is not there yet. It came if an interrupt stands
between the callback and the next chain. It is missing if none does, and the driver waited for it
with used_event and flags as they were, and did not ask anew: a device that is slow may read them
after the entry was taken.
Queues of `pykit drive` alone are judged, which writes each interrupt down (event ``returned``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pykit.spec.arrays import Bools, Ints, are
from pykit.spec.given import without_vector
from pykit.spec.model import Result, rule
from pykit.spec.rings import SPLIT
from pykit.spec.rows import Rows
from pykit.spec.timing import WAITED_FOR
from pykit.spec.view import View

_ADDED = ("came", "waited", "entry", "stop")
_NEEDS = ("driver:callback", "driver:used", "driver:interrupt", "driver:add")


def _next(at: Ints, after: Ints) -> Ints:
    """Return the index of the first of ``at`` behind each place; one too many where none is."""
    return np.searchsorted(at, after, side="right")


def asked(view: View) -> Rows:
    """Callbacks that ask for an interrupt of the next entry, which was used later.

    Columns: those of the event; ``came``; ``waited`` (ns from the entry until the driver asks
    again, or to the next chain), and ``stop``, the event of that chain or the queue's last one.
    """
    return view.keep("interrupts asked for", _read)


def _read(view: View) -> Rows:
    rings = view.rings
    # A guest's trace lacks interrupts that come when the entry was taken by polling.
    polled = rings.of("returned")["q"]
    if not len(polled):
        return Rows.nothing()
    rows = Rows.of(rings, rings.of("callback"))
    rows = rows.where((rows["enable"] == 1) & (rows["pending"] == 0))
    rows = rows.where(rings.layout[rows["q"]] == SPLIT) if len(rows) else rows
    rows = rows.where(np.isin(rows["q"], polled))
    if not len(rows) or not len(rings.of("used")):
        rows = rows.where(np.zeros(len(rows), dtype=np.bool_))
        return rows.plus(**{name: np.zeros(0, dtype=np.int64) for name in _ADDED})
    events = rings.of("callback", "used", "interrupt", "add", "returned")
    at, q = np.asarray(events["at"]), np.asarray(events["q"])
    ts = rings.base_of(events, "ts")
    kinds = {name: np.flatnonzero(are(events, name)) for name in ("used", "interrupt", "add")}
    places = {name: at[found] for name, found in kinds.items()}
    here = np.asarray(rows["at"])
    used = _next(places["used"], here)
    known = used < len(kinds["used"])
    entry = kinds["used"][np.where(known, used, 0)]
    known &= (q[entry] == rows["q"]) & (events["index"][entry] == rows["last_used"])
    # Before the entry neither disabled nor asked for in another way.
    again = np.flatnonzero(are(events, "callback"))
    known &= _next(at[again], here) == _next(at[again], at[entry])
    # Up to the next chain, or to the queue's last event.
    ends = np.append(np.flatnonzero(q[1:] != q[:-1]), len(q) - 1)
    last = ends[np.searchsorted(ends, entry)]
    add = _next(places["add"], at[entry])
    follows = np.append(kinds["add"], len(q) - 1)[add]
    stop = np.where(q[follows] == rows["q"], np.minimum(follows, last), last)
    came = _next(places["interrupt"], at[stop]) > _next(places["interrupt"], here)
    # Once it asks again it has given up waiting, and looks for interrupts when it needs the next.
    asks = np.append(again, len(q) - 1)[_next(at[again], at[entry])]
    waited = ts[np.minimum(asks, stop)] - ts[entry]
    number = np.asarray(events["row"])
    rows = rows.plus(came=came, waited=waited, entry=number[entry], stop=number[stop])
    return rows.where(known)


def _check(view: View, rows: Rows, chosen: Bools, like: Bools, text: str) -> Result:
    """Check that interrupts came of what was chosen; ``like``: the same without the decoy.

    A device of which none came there, or that lost one, shows nothing of what it goes by.
    """
    came, waited = rows["came"].astype(np.bool_), rows["waited"] >= WAITED_FOR
    possible = bool((came & like).any()) and not bool((~came & waited & _plainly_asked(rows)).any())
    rows = rows.where(chosen)
    decided = rows["came"].astype(np.bool_) | ((rows["waited"] >= WAITED_FOR) & possible)
    return _check_came(
        view,
        rows.where(decided),
        text,
        none="no interrupt was asked for while such a value stood there",
        undecided=int(np.count_nonzero(~decided)),
        doubt="the driver did not wait for the interrupt, or one is missing without the decoy, too",
    )


def _check_came(view: View, table: Rows, text: str, **counts: Any) -> Result:
    """Check that the interrupts of these callbacks came; ``counts``: see ``Rows.check``."""
    return table.check(
        table["came"].astype(np.bool_),
        text,
        shown=("row", "entry"),
        unless=(view.contested_queues | without_vector(view))[table["q"]],
        **counts,
    )


def _plainly_asked(rows: Rows) -> Bools:
    """By callback: flag and used_event both ask for the interrupt of the next entry."""
    found: Bools = (rows["avail_flags"] & 1 == 0) & (rows["used_event"] == rows["last_used"])
    return found


def waited_in_vain(view: View, *, event_idx: bool) -> Result:
    """Check that interrupts came that flag and used_event both asked for, where the driver waited.

    Of a device that never interrupted it is not known whether interrupts were seen.
    """
    rows = asked(view)
    if not len(rows):
        return Result(0)
    mine = view.rings.event_idx(rows["q"], rows["event_idx"]) == event_idx
    rows = rows.where(mine & _plainly_asked(rows))
    came = rows["came"].astype(np.bool_)
    decided = came | ((rows["waited"] >= WAITED_FOR) & came.any())
    text = "{queue}: no interrupt of entry {last_used}, which the driver asked for and waited for"
    return _check_came(view, rows.where(decided), text)


@rule("NU-DE-01", needs=_NEEDS)
def used_event_is_nothing_without_the_feature(view: View) -> Result:
    """Section 2.7.7.1: without EVENT_IDX the device ignores used_event.

    Checked: each callback of a split queue without EVENT_IDX that asks for an interrupt by the
    flag, while used_event would, as an index, not ask for the next entry: the interrupt of that
    entry came.

    Undecided: it did not come before the next chain, and the driver waited less than half a second,
    or no interrupt came of callbacks without EVENT_IDX for which used_event would ask, too. Or one
    was lost where nothing spoke against it, with EVENT_IDX or without: the device loses interrupts
    for another reason.
    """
    rows = asked(view)
    plain = ~view.rings.event_idx(rows["q"], rows["event_idx"])
    chosen = plain & (rows["avail_flags"] & 1 == 0) & (rows["used_event"] != rows["last_used"])
    text = "{queue}: no interrupt of entry {last_used}: used_event {used_event} counts, and may not"
    return _check(view, rows, chosen, plain & _plainly_asked(rows), text)


@rule("NU-DE-04", needs=_NEEDS)
def flag_is_nothing_with_the_index(view: View) -> Result:
    """Section 2.7.7.1: with EVENT_IDX the device ignores the low bit of the available ring's flags.

    Checked: each callback of a split queue with EVENT_IDX that asks for the next entry by
    used_event while the flag is set: the interrupt of that entry came. A driver has to leave the
    flag at 0, so that only `pykit drive` sets it.

    Undecided: as for NU-DE-01.
    """
    rows = asked(view)
    index = view.rings.event_idx(rows["q"], rows["event_idx"])
    chosen = index & (rows["avail_flags"] & 1 == 1) & (rows["used_event"] == rows["last_used"])
    text = "{queue}: no interrupt of entry {last_used}: the flag counts, and may not"
    return _check(view, rows, chosen, index & _plainly_asked(rows), text)
