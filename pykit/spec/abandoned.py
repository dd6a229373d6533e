# SPDX-License-Identifier: GPL-2.0-only
"""Queues that a driver gives up although nothing was wrong with them.

Linux's core declares a queue broken when it finds a used entry that it does not accept, and fails
each add with EIO from then on. Where all used entries were taken, by the ring's memory, it looked
at something that is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EIO
from typing import TYPE_CHECKING

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import are, first_of, ints
from pykit.spec.circumstances import needs_reset
from pykit.spec.model import Violation
from pykit.trace.kinds import BROKEN

if TYPE_CHECKING:
    from pykit.spec.view import View


def abandoned(view: View, layout: int) -> Iterator[Violation]:
    """Report the first add that fails with EIO, of each queue of one layout without a reason.

    Reasons are: a used entry was refused, the queue was declared broken in a call of its own, the
    device needs a reset, or was reset, or its driver is being removed or suspended. A transport
    that cannot notify is one too: so the queue has to have brought the driver an interrupt or a
    used entry since its last notification.
    """
    rings, used = view.rings, view.used
    failed = rings.of("add_failed")
    failed = failed.take(ints(failed, "err") == -EIO)
    failed = failed.take(first_of(ints(failed, "q")))
    refused = {int(q) for q in used.q[used.accepted == 0]}
    queues = rings.of("queue")
    broken = {int(q) for q in ints(queues, "q")[ints(queues, "op") == BROKEN]}
    signs = rings.of("notify", "interrupt", "used")
    places = zip(*(ints(failed, name).tolist() for name in ("q", "at", "row")), strict=True)
    for q, at, row in places:
        mine = signs.of_queue(q)
        before = np.flatnonzero(ints(mine, "at") < at)
        if not len(before) or are(mine, "notify")[before[-1]]:
            continue
        dev, number, _ = rings.queue[q]
        life = view.life(dev, number)
        ready = life.first_write(bits.DRIVER_OK)
        if rings.layout[q] != layout or not rings.whole[q] or q in refused | broken:
            continue
        if ready is None or ready.row > row or life.needs_reset or needs_reset(view, dev):
            continue
        ends = [s.row for s in life.status if s.op == bits.STATUS_RESET and s.row > ready.row]
        ends += [s.row for s in life.stages if s.stage in (bits.REMOVE, bits.FREEZE)]
        if np.min(ends, initial=row + 1) > row:
            text = "gives the queue up, and all used entries were in order"
            yield Violation((row,), f"{rings.name(q)}: the driver {text}")
