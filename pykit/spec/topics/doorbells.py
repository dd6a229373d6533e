# SPDX-License-Identifier: GPL-2.0-only
"""Notifications as the device gets them, against those of which the driver's trace has a decision.

The register log and the access tracer see each write to a queue's notification address, by whatever
code. (QEMU logs none where an eventfd takes them.)
"""

from __future__ import annotations

from collections import Counter

from pykit.spec import bits
from pykit.spec.arrays import ints
from pykit.spec.model import Result, Violation
from pykit.spec.registers import notifications
from pykit.spec.rings import PACKED
from pykit.spec.rows import Tally
from pykit.spec.view import View
from pykit.text import counted
from pykit.trace.kinds import DELETED


def superfluous_doorbells(view: View, *, packed: bool) -> Result:
    """Check that with EVENT_IDX no more notifications arrive than the driver decided to send.

    The device asks for a notification of one entry: another one without a decision in between is
    of no entry. Judged are queues of one layout that were seen from their set-up to their removal:
    the trace has each decision of theirs, and each notification that an add sends by itself.
    """
    tally = Tally()
    rings, seen = view.rings, notifications(view)
    if not view.recorded("notify") or not len(seen):
        return tally.result()
    rows: dict[tuple[int, ...], list[int]] = {}
    places = zip(seen.dev.tolist(), seen.life.tolist(), seen.vq.tolist(), strict=True)
    for place, row, write in zip(places, seen.row.tolist(), seen.write.tolist(), strict=True):
        if write:
            rows.setdefault(place, []).append(row)
    decided = Counter(ints(rings.of("notify"), "q").tolist())
    queues = rings.of("queue")
    closed = set(queues["q"][queues["op"] == DELETED].tolist())
    event_idx = rings.feature(bits.EVENT_IDX)
    for q, name in enumerate(rings.queue):
        whole = rings.whole[q] and rings.alone[q] and q in closed and name in rows
        if not whole or event_idx[q] != 1 or (rings.layout[q] == PACKED) != packed:
            continue
        extra = len(rows[name]) - decided[q]
        arrived = counted(len(rows[name]), "notification")
        text = f"{rings.name(q)}: {arrived} reached the device, the driver decided on {decided[q]}"
        found = [Violation((rows[name][-1],), text)] if extra > 0 else []
        tally.check_together(decided[q], found)
    return tally.result()
