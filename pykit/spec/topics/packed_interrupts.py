# SPDX-License-Identifier: GPL-2.0-only
"""Packed virtqueues: interrupts, the device's duties and the driver's (sections 2.8.10, 2.8.22).

Spans of used descriptors and the window of what the device may have read are those of
``interrupts.py``. QEMU logs no flush for packed rings, so each used descriptor is one; the driver's
suppression is read from its event suppression structure after each callback and each used
descriptor that the driver took.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import are, first_of, ints
from pykit.spec.counted import unasked
from pykit.spec.model import Result, rule
from pykit.spec.packed import AT_DESC, ahead, is_packed
from pykit.spec.packed_suppression import readable
from pykit.spec.rings import PACKED
from pykit.spec.rows import Rows
from pykit.spec.soil import given_up
from pykit.spec.timing import OTHER_SIDE, PREEMPTED_TASK
from pykit.spec.topics.interrupts import (
    must_interrupt,
    owed_interrupts,
    should_not_interrupt,
    spans,
)
from pykit.spec.view import View

UNREAD = "the tracepoints do not report the driver's suppression as it takes used descriptors"
_NEEDS = ("qemu:dev_fill", "driver:callback", "driver:used", "driver:queue")


def _unread(view: View) -> Result | None:
    """Return the result of a capture whose tracepoints lack the suppression, None otherwise."""
    if readable(view):
        return None
    used = view.events_of("used")
    return Result(0, undecided=int(is_packed(view, used["q"]).sum()), why=UNREAD, doubt=UNREAD)


@rule("DX-64", needs=_NEEDS)
def interrupts_where_requested(view: View) -> Result:
    """Section 2.8.10: the device interrupts for used descriptors of which the driver wants to know.

    Checked: each span of used descriptors, from one interrupt to the next, of a packed queue that
    both sides saw from its set-up on: that the driver's event suppression structure names one of
    them (flags 2), or all (flags 0).

    Tolerances are those of NU-DE-05.
    """
    own = _unread(view) or must_interrupt(view, spans(view).packed)
    return own + owed_interrupts(view, view.rings.layout == PACKED)


@rule("DX-65", needs=_NEEDS)
def silent_where_suppressed(view: View) -> Result:
    """Section 2.8.10: the device does not interrupt for descriptors that the driver suppressed.

    Checked: each interrupt of a packed queue where the values of the driver's event suppression
    structure that the device may have read agree, and each used descriptor without an interrupt
    where none requests one.

    Tolerances are those of NU-DE-06.
    """
    return _unread(view) or (
        should_not_interrupt(view, spans(view).packed) + unasked(view, view.rings.layout == PACKED)
    )


@rule("DX-66", needs=("driver:callback", "driver:used", "driver:queue"), also=("DX-17",))
def no_lost_wakeup(view: View) -> Result:
    """Section 2.8.22: after it has enabled interrupts the driver looks at the ring once more.

    Checked: each time that interrupts are enabled on a packed queue. If the next used descriptor
    was there already, the driver takes it or is interrupted within 5 s; if it was not, the place
    of which the driver wants to be interrupted is ahead of the used descriptors taken, by less
    than the queue size.

    - With a used descriptor there only block drivers are decided: they take them within the
      interrupt handler. Others poll from a task, which may not run for long.
    - A driver that did nothing on the queue any more waits for an interrupt for sure if the trace
      goes on for 10 s; before that it may be preempted.
    """
    rings, none = view.rings, "interrupts were never enabled"
    if not is_packed(view, np.arange(len(rings.queue))).any():
        return Result(0, why=none)
    frame = rings.of("callback", "used", "interrupt")
    q, ts = ints(frame, "q"), rings.base_of(frame, "ts")
    enabled = are(frame, "callback") & (ints(frame, "enable") == 1) & is_packed(view, q)
    there = enabled & (ints(frame, "used_idx") != ints(frame, "last_used"))
    size = rings.size[q] if len(rings.queue) else q
    distance = ahead(ints(frame, "used_event"), ints(frame, "last_used"), size)
    past = enabled & ~there & (ints(frame, "avail_flags") == AT_DESC) & (distance >= size)

    inline = there & (rings.device()[q] == bits.BLK_ID) if len(rings.queue) else there
    last = np.ones(len(q), dtype=np.bool_)
    last[:-1] = first_of(q)[1:]
    pause = np.full(len(q), view.end[0]) - ts
    pause[:-1] = np.where(last[:-1], pause[:-1], ts[1:] - ts[:-1])
    waited = inline & (pause >= np.where(last, PREEMPTED_TASK, OTHER_SIDE))
    decided = ((enabled & ~there) | waited | (inline & ~last)) & ~given_up(frame, q)
    table = Rows.of(rings, frame).plus(past=past, waited=waited).where(decided)

    def message(i: int) -> str:
        if table["past"][i]:
            return "{queue}: an interrupt is requested for a descriptor that is past"
        return "{queue}: a used descriptor was there, and the driver waited for an interrupt"

    return table.check(
        ~table["past"] & ~table["waited"],
        message,
        none=none,
        undecided=int((enabled & ~decided).sum()),
    )
