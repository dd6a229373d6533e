# SPDX-License-Identifier: GPL-2.0-only
"""Packed virtqueues with IN_ORDER: a used descriptor stands for a batch (sections 2.8, 6).

The device may return lists together, by one used descriptor with the buffer id of the last of them,
written where the first of them began; the next one stands where the batch ended::

    lists       | a  a | b | c  c  c | d |
    used        | b    .   | d            .
    returned      a and b    c and d

A used descriptor that the driver finds somewhere else, while none ever comes in its place, is
behind a batch that the device named otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import are
from pykit.spec.model import Result
from pykit.spec.packed import STRAY, ids, is_packed, lists
from pykit.spec.rows import Tally
from pykit.spec.timing import OTHER_SIDE
from pykit.spec.view import View


@dataclass
class _Ring:
    """What is known of one queue's lists so far.

    Attributes:
        at, ids, slots: of all its lists, in order: where they were made available, their ids (-1
            where one is not known), and the slots that they begin in.
        returned: how many have come back.
        stray: used descriptors out of their turn: event, slot and how many lists were back.
    """

    at: list[int]
    ids: list[int]
    slots: list[int]
    returned: int = 0
    stray: list[tuple[int, int, int]] = field(default_factory=list)

    def take(self, at: int, number: int) -> bool | None:
        """Return the lists up to one; False if it is not outstanding, None if that is unknown."""
        exposed = int(np.searchsorted(self.at, at))
        waiting = self.ids[self.returned : exposed]
        if -1 in waiting:
            return None
        if number not in waiting:
            return False
        self.returned += waiting.index(number) + 1
        return True


def packed_batches(view: View) -> Result:
    """Check each used descriptor of packed queues with IN_ORDER that were seen from their set-up.

    It names a list that is outstanding. None stands out of its turn while the one whose turn it is
    never comes, for 5 s.
    """
    tally = Tally(none="IN_ORDER was not negotiated")
    rings, found, known = view.rings, lists(view), ids(view)
    queues = np.arange(len(rings.queue))
    if not len(queues):
        return tally.result()
    judged = is_packed(view, queues) & (rings.feature(bits.IN_ORDER) == 1) & rings.whole
    for q in np.flatnonzero(judged).tolist():
        if view.contested_queues[q]:
            tally.contested()
            continue
        mine = found.q == q
        slots = found.start[mine] % int(rings.size[q])
        ring = _Ring(found.at[mine].tolist(), known[mine].tolist(), slots.tolist())
        _check_queue(view, q, ring, tally)
    return tally.result()


def _check_queue(view: View, q: int, ring: _Ring, tally: Tally) -> None:
    events = view.rings.of("used", "slot").of_queue(q)
    used, row, number = are(events, "used"), events["row"], events["id"]
    stray = ~used & (events["pos"] == STRAY)
    # A driver may look at one place several times.
    seen = -1
    for i in np.flatnonzero(used | stray).tolist():
        if not used[i]:
            ring.stray.append((int(row[i]), int(events["slot"][i]), ring.returned))
            continue
        if int(events["index"][i]) == seen:
            continue
        seen = int(events["index"][i])
        right = ring.take(int(events["at"][i]), int(number[i]))
        if right is None:
            tally.undecided(doubt="the buffer ids of some lists are not known")
            return
        text = f"{view.rings.name(q)}: used id {number[i]} names no list that is outstanding"
        tally.check(right, int(row[i]), text)
    ts = view.base("ts")
    for at, slot, returned in ring.stray:
        late = ring.returned == returned and view.end[0] - int(ts[at]) >= OTHER_SIDE
        if late and slot not in ring.slots[returned : returned + 1]:
            text = f"{view.rings.name(q)}: slot {slot} is used out of its turn, behind a batch"
            tally.check(False, at, f"{text} whose last list was not named")
