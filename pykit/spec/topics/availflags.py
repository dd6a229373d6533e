# SPDX-License-Identifier: GPL-2.0-only
"""The available ring's flags (section 2.7.7), and which side wrote them.

The flags are read from memory, behind an operation of the driver; the device must not write there,
but a faulty one may. Three things tell the two apart:

- at set-up, and until the device has used something, it has no reason to write to the ring yet;
- a driver that does the same again writes the same: a value that stands there at some times, and
  not at others, behind the same kind of operation may be the device's;
- with EVENT_IDX the driver has nothing to write there: a wrong value that stays, whatever the
  driver does, may be the device's; one that comes and goes with the driver's operations is not;
- the access tracer has each store of the guest.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import NEVER, Bools, are, ints
from pykit.spec.model import Result
from pykit.spec.rows import Rows
from pykit.spec.view import View
from pykit.trace.kinds import SET_UP


def avail_flags(view: View, *, event_idx: bool) -> Result:
    """Check the available ring's flags on queues with, or without, EVENT_IDX.

    A set-up does not carry the mode: it counts only where the negotiation was seen.
    """
    rings = view.rings
    most = 0 if event_idx else 1
    frame = rings.of("callback", "queue")
    q, setup = ints(frame, "q"), are(frame, "queue")
    mode = rings.event_idx(q, np.where(setup, -1, ints(frame, "event_idx")))
    known = np.where(setup, rings.feature(bits.EVENT_IDX)[q] >= 0, True)
    known &= ~setup | (ints(frame, "op") == SET_UP)
    events = Rows.of(rings, frame).plus(setup=setup)
    events = events.where(rings.split(q) & known & (mode == event_idx))
    holds = events["avail_flags"] <= most
    stored, seen = _stores(view, most)
    certain = events["setup"] | stored[events["q"]] | _nothing_used(view, events)
    doubtful = seen[events["q"]] | _changes(events, holds)
    if event_idx:
        doubtful |= _stays(events, holds)
    return events.check(
        holds,
        "{queue}: avail flags are {avail_flags}",
        none="no ring in that mode was seen",
        unless=~certain & doubtful,
    )


def _changes(events: Rows, holds: Bools) -> Bools:
    """By row: behind the same kind of operation on the queue, it does not always hold or break."""
    group = events["q"] * 3 + np.where(events["setup"], 2, events["enable"])
    count = int(group.max(initial=0)) + 1
    good = np.bincount(group[holds], minlength=count) > 0
    bad = np.bincount(group[~holds], minlength=count) > 0
    mixed: Bools = (good & bad)[group]
    return mixed


def _stays(events: Rows, holds: Bools) -> Bools:
    """By row: no operation of the driver on its queue was followed by a value that holds."""
    count = int(events["q"].max(initial=0)) + 1
    good = np.bincount(events["q"][holds & ~events["setup"]], minlength=count) > 0
    stays: Bools = ~good[events["q"]]
    return stays


def _nothing_used(view: View, events: Rows) -> Bools:
    """By row: the queue was seen from its set-up on, and nothing was used in it so far."""
    rings, used, q = view.rings, view.used, events["q"]
    first = np.full(len(rings.queue), NEVER)
    np.minimum.at(first, used.q, used.at)
    unmoved = events["used_idx"] == rings.used[q]
    early: Bools = rings.whole[q] & unmoved & (events["at"] < first[q])
    return early


def _stores(view: View, most: int) -> tuple[Bools, Bools]:
    """By queue: the access tracer saw the guest store larger flags; it saw the queue at all."""
    rings = view.rings
    stored, seen = (np.zeros(len(rings.queue), dtype=np.bool_) for _ in range(2))
    if "acc_ring" not in view.kinds:
        return stored, seen
    place = ("dev", "life", "vq")
    rows = view.of("acc_ring").filter((pl.col("area") == "avail") & (pl.col("write") == 1))
    traced = set(rows.filter(pl.col("value").is_not_null()).select(*place).unique().iter_rows())
    large = rows.filter((pl.col("field") == "flags") & (pl.col("value") > most))
    wrong = set(large.select(*place).unique().iter_rows())
    for n, name in enumerate(rings.queue):
        seen[n], stored[n] = name in traced, name in wrong
    return stored, seen
