# SPDX-License-Identifier: GPL-2.0-only
"""What a driver wrote to suppress interrupts of a packed queue (section 2.8.10), by used entry.

The driver names a place in the ring; the device compares it with the places of the descriptors
that it used. Both are turned into numbers of used descriptors here: number n stands where the
lists that the device completed before it end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pykit.spec.arrays import Bools, Columns, Ints, are, ints
from pykit.spec.packed import AT_DESC, ENABLE, cycle, entries, traced
from pykit.trace.kinds import SET_UP

if TYPE_CHECKING:
    from pykit.spec.view import View


@dataclass(frozen=True)
class PackedSuppression:
    """Values of the driver event suppression structure of one queue, in order.

    Attributes:
        at: where each value was written; the first is that of the set-up, -1.
        always: it requests an interrupt of each used descriptor.
        number: of the used descriptor that it requests one of; -1 if of none.
        raced: interrupts were enabled, and a used descriptor was there already.
        enabled: indices of the values with which interrupts were enabled.
        seen: by these: how many used descriptors the driver had seen by then.
        event_idx: always true: a value may request an interrupt of one descriptor.
    """

    at: Ints
    always: Bools
    number: Ints
    raced: Bools
    enabled: Ints
    seen: Ints
    event_idx: bool = True

    def requests(self, index: Ints, low: Ints, high: Ints) -> Bools:
        """By row: does the value with this index request one of the entries low up to high."""
        number = self.number[index]
        wanted: Bools = self.always[index] | ((number >= low) & (number < high))
        return wanted


def readable(view: View) -> bool:
    """Whether the tracepoints report the structure each time that it may have changed."""
    return traced(view, "used", "event", "event_flags")


def packed_suppression(view: View, q: int, driver: Columns, places: Ints) -> PackedSuppression:
    """Read a queue's values from its events ``callback`` and ``used``.

    Args:
        places: where the used descriptors that the device wrote start, and where the last ends.
    """
    size = int(view.rings.size[q])
    callback = are(driver, "callback")
    flags = np.where(callback, ints(driver, "avail_flags"), ints(driver, "event_flags"))
    event = np.where(callback, ints(driver, "used_event"), ints(driver, "event"))
    last_used = np.where(callback, ints(driver, "last_used"), ints(driver, "index"))
    pending = callback & (ints(driver, "used_idx") != last_used)

    taken = entries(view)
    mine = slice(*np.searchsorted(taken.q, [q, q + 1]).tolist())
    at = ints(driver, "at")
    # All values are near the place of the entry that was looked at last, or the one after it.
    latest = np.searchsorted(taken.at[mine], at, side="right") - 1
    known = taken.place[mine]
    near = np.where(latest >= 0, known[np.maximum(latest, 0)], 0) if len(known) else at * 0
    sizes = np.full(len(at), size)
    near = near + (cycle(last_used, sizes) - near) % (2 * size)
    number = _number(event, near, size, places)
    number[flags != AT_DESC] = -1

    looked = (taken.fresh & taken.accepted)[mine]
    count = np.concatenate([[0], np.cumsum(looked)])[latest + 1]
    enables = callback & (ints(driver, "enable") == 1)
    setup = view.rings.of("queue").of_queue(q)
    begin = np.flatnonzero(setup["op"] == SET_UP)[0]
    first_flags = int(setup["avail_flags"][begin])
    first = _number(setup["avail_idx"][begin : begin + 1], np.zeros(1, np.int64), size, places)
    first[:] = first if first_flags == AT_DESC else -1
    return PackedSuppression(
        at=np.concatenate([[-1], at]),
        always=np.concatenate([[first_flags == ENABLE], flags == ENABLE]),
        number=np.concatenate([first, number]),
        raced=np.concatenate([[False], enables & pending]),
        enabled=np.flatnonzero(enables) + 1,
        seen=np.maximum.accumulate(count + pending)[enables],
    )


def _number(event: Ints, near: Ints, size: int, places: Ints) -> Ints:
    """By row: number of the used descriptor at a position, which is near a place.

    It may be a whole round ahead, behind a list that fills the ring, but not a whole one back.
    """
    sizes = np.full(len(event), size)
    step = (cycle(event, sizes) - near + size - 1) % (2 * size) - (size - 1)
    place = near + step
    number: Ints = np.searchsorted(places, place, side="right") - 1
    return np.where(place > places[-1], len(places), number)
