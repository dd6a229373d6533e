# SPDX-License-Identifier: GPL-2.0-only
"""Queues that were reset alone and set up again in the same life (section 2.6.1)."""

from __future__ import annotations

import numpy as np

from pykit.spec.model import Result, rule
from pykit.spec.reclaimed import renewals
from pykit.spec.rings import SPLIT
from pykit.spec.rows import Tally
from pykit.spec.timing import ONE_SIDE
from pykit.spec.view import View
from pykit.trace.kinds import DELETED

_NEEDS = ("driver:queue", "driver:add", "driver:used")
_NONE = "no queue was reset alone and set up again"


@rule("VR-DE-03", needs=_NEEDS)
def positions_begin_anew(view: View) -> Result:
    """Section 2.6.1.1: after a queue's reset the device begins at the positions of a new queue.

    Checked: each queue that was reset alone, set up again with indices of 0, and used: the first
    used entry is the first of the ring, and returns a chain of the new ring. Where none came, the
    queue had served chains before its reset.

    Undecided: no chain was exposed, or none came back in less than 1 s, or the queue had not
    served any before its reset.
    """
    tally = Tally(none=_NONE)
    rings, adds, used = view.rings, view.adds, view.used
    for before, q in renewals(view):
        first = np.flatnonzero((used.q == q) & used.fresh)[:1]
        exposed = np.flatnonzero(adds.q == q)
        if view.contested_queues[q]:
            tally.contested()
        elif first.size:
            entry = int(first[0])
            start = used.index[entry] == rings.used[q] if rings.layout[q] == SPLIT else True
            text = f"{rings.name(q)}: after its reset the first used entry is {used.index[entry]}"
            holds = bool(start) and view.pairs.add_of[entry] >= 0
            tally.check(holds, int(used.row[entry]), text)
        elif exposed.size and (used.q == before).any():
            row = int(adds.row[exposed[0]])
            waited = view.end[0] - int(view.base("ts")[row])
            if waited < ONE_SIDE:
                tally.undecided()
            else:
                tally.check(False, row, f"{rings.name(q)}: no chain came back after its reset")
        else:
            tally.undecided()
    return tally.result()


@rule("DX-27", needs=(*_NEEDS, "driver:detach"))
def outstanding_chains_are_reclaimed(view: View) -> Result:
    """Section 2.6.1: the driver takes back all chains that are outstanding when it resets a queue.

    Checked: each chain that a queue had outstanding when it was deleted, and set up again in the
    same life: a driver that took any of them back (``detach``) took all. The device completes none
    of them later: it would be an entry of the new ring (VR-DE-03).

    Undecided: queues of which none was seen taken back. Linux's core returns chains within its
    own reset and resize of a queue, and a driver may have a list of its own: neither is traced.
    """
    tally = Tally(none=_NONE, doubt="chains that are taken back within the reset are not traced")
    queues, detached = view.rings.of("queue"), view.rings.of("detach")
    for before, _ in renewals(view):
        ends = (queues["q"] == before) & (queues["op"] == DELETED)
        mine = view.adds.q == before
        outstanding = int(np.count_nonzero(mine & (view.pairs.used_of < 0)))
        taken = int(np.count_nonzero(detached["q"] == before))
        rows = queues["row"][ends].tolist() or view.adds.row[mine][-1:].tolist()
        if outstanding and not taken:
            tally.undecided(outstanding)
        elif outstanding and rows:
            name = view.rings.name(before)
            text = f"{name}: {outstanding} chains outstanding at its reset, {taken} taken back"
            tally.check_together(outstanding - 1, ())
            tally.check(taken >= outstanding, rows, text)
    return tally.result()
