# SPDX-License-Identifier: GPL-2.0-only
"""Queues whose driver never decides whether to notify (section 2.7.10).

Both rings begin zeroed: until the device has looked, it requests a notification of the first chain,
by an event index of 0 as by a flag of 0. A driver that uses a queue without a decision and without
a notification leaves the device unaware of it.
"""

from __future__ import annotations

import numpy as np

from pykit.spec.lives import ends_within
from pykit.spec.model import Result
from pykit.spec.rows import Tally
from pykit.spec.timing import PREEMPTED_TASK
from pykit.spec.undecided import first_adds
from pykit.spec.view import View
from pykit.trace.kinds import SET_UP


def never_notified(view: View, *, event_idx: bool) -> Result:
    """Check split queues in use that have neither a decision nor a notification.

    One is violated if no chain came back though the trace goes on for 10 s after the first, or
    the guest hung. A device that polls takes chains without a notification.
    """
    rings, adds = view.rings, view.adds
    tally = Tally(doubt="no decision to notify was traced, and the trace ends there")
    begun = first_adds(view)
    q = adds.q[begun]
    chosen = rings.whole[q] & rings.split(q)
    chosen &= rings.event_idx(q, np.zeros(len(q), dtype=np.int64)) == event_idx
    setups = rings.of("queue")
    done = np.concatenate([view.used.q, setups["q"][setups["op"] != SET_UP]])
    hung = view.events.capture.outcome.kind == "hang"
    for i in begun[chosen].tolist():
        row = int(adds.row[i])
        waits = hung or not ends_within(int(view.base("ts")[row]), PREEMPTED_TASK, view.end[0])
        if not waits or (done == adds.q[i]).any():
            tally.undecided()
            continue
        name = rings.name(int(adds.q[i]))
        text = f"{name}: chains were made available, and the device was never notified"
        tally.check(False, row, text)
    return tally.result()
