# SPDX-License-Identifier: GPL-2.0-only
"""Notifications that bring nothing (section 2.7.10): a device has to cope with them."""

from __future__ import annotations

import numpy as np

from pykit.spec.arrays import Columns, are
from pykit.spec.circumstances import needs_reset
from pykit.spec.lives import ends_within
from pykit.spec.model import Result, rule
from pykit.spec.owed import carries_requests
from pykit.spec.rows import Tally
from pykit.spec.timing import PREEMPTED_TASK
from pykit.spec.view import View


@rule("NA-DE-05", needs=("qemu:dev_kick", "qemu:dev_pop"))
def survives_empty_notifications(view: View) -> Result:
    """Section 2.7.10: the device copes with a notification when there is no new entry to take.

    Checked: each notification in QEMU's log behind which the device took nothing from the queue
    before the next one: the device goes on to use the queue later. It is violated if it never
    does so, though it handles further notifications of the queue, has not taken all that the driver
    made available, and the trace goes on for 10 s, or the guest hung.

    - Undecided: a notification behind which neither is the case. So is a queue whose chains are no
      requests: the device leaves buffers for events where they are until there is one. And so is
      one of a device that needs a reset: what made it so came before.
    - Contested: the driver had broken the queue's ring, or never given it to the device, or an
      IOMMU refused what the device would have read.
    - Devices that another process or the kernel serves are left out: QEMU does not see their rings.
    """
    refused = set(view.of("dev_dma_fault")["dev"].to_list())
    tally = Tally(none="no notification without a new entry was handled")
    events = view.columns("dev_kick", "dev_pop", "dev_fill", "dev_flush", "dev_signal")
    waiting = _not_taken(view)
    hung = view.events.capture.outcome.kind == "hang"
    broken = {view.rings.queue[q] for q in np.flatnonzero(view.contested_queues).tolist()}
    for name, rows in events.by_queue().items():
        if name[0] in view.elsewhere:
            continue
        kick = np.flatnonzero(are(rows, "dev_kick"))
        taken = np.cumsum(are(rows, "dev_pop"))
        empty = kick[:-1][taken[kick[1:]] == taken[kick[:-1]]]
        last = np.flatnonzero(~are(rows, "dev_kick"))[-1:]
        alive = int(last[0]) if len(last) else -1
        tally.check_together(int(np.count_nonzero(empty < alive)), ())
        dead = empty[empty > alive]
        end = int(view.base("ts")[rows["row"][-1]])
        over = hung or not ends_within(end, PREEMPTED_TASK, view.end[1])
        life = view.life(name[0], name[1])
        owed = carries_requests(life.id, name[2])
        owed = owed and not life.needs_reset and not needs_reset(view, name[0])
        if len(dead) and (name in broken or name[0] in refused):
            tally.contested(len(dead))
        elif len(dead) and name in waiting and over and owed:
            where = f"device {name[0]}, life {name[1]}, queue {name[2]}"
            text = f"{where}: after a notification of nothing, others went unanswered"
            tally.check(False, int(rows["row"][dead[0]]), text)
        else:
            tally.undecided(len(dead))
    return tally.result()


def _not_taken(view: View) -> set[tuple[int, int, int]]:
    """Return the queues of which the driver made more chains available than QEMU took."""
    pops = view.columns("dev_pop").by_queue()
    added = np.bincount(view.adds.q, minlength=len(view.rings.queue))
    return {
        name for q, name in enumerate(view.rings.queue) if added[q] > len(pops.get(name, _NOTHING))
    }


_NOTHING: Columns | tuple[()] = ()
