# SPDX-License-Identifier: GPL-2.0-only
"""Liveness: what was made available comes back, whichever side has to act next.

The specification has no deadlines. A side that has to act, and that has not acted for 10 s when
the trace ends, has stopped: nothing in a queue waits for so long, but for a task of the driver
that was preempted. ``pykit/spec/standing.py`` finds out whose turn it is.
"""

from __future__ import annotations

import numpy as np

from pykit.spec.model import Result, Violation, rule
from pykit.spec.owed import carries_requests
from pykit.spec.reclaimed import interrupted_queues, request_queues
from pykit.spec.rows import Tally
from pykit.spec.standing import standstills
from pykit.spec.timing import PREEMPTED_TASK
from pykit.spec.topics.notify import decisions
from pykit.spec.view import View

AT_WORK = "chains were under way, and the trace ends within 10 s"


def _returned(view: View) -> int:
    """Return how many requests came back, by ring memory; else by the log of what was filled."""
    requests = request_queues(view)
    if len(requests):
        back = requests[view.adds.q] & (view.pairs.used_of >= 0)
        return int(np.count_nonzero(back))
    fills = view.of("dev_fill").select("dev", "life", "vq").drop_nulls()
    return sum(carries_requests(view.life(dev, life).id, vq) for dev, life, vq in fills.iter_rows())


@rule(
    "DX-39",
    needs=("driver:add|qemu:dev_pop|qmp:features", "driver:used|qemu:dev_pop|qmp:features"),
)
def device_keeps_up(view: View) -> Result:
    """Sections 2.7.7, 2.7.8 and 2.7.10: the device takes each request, returns it, and interrupts
    for it when the driver asked for that.

    Checked: each request that came back, and each queue that stands still where it is the
    device's turn: it was notified, or had asked for no notification, and takes nothing; it took a
    chain and does not return it; or it returned one without the interrupt that was asked for.
    Only queues whose chains are requests count: on others the driver leaves buffers until the
    device has something to say. Where the driver is not traced, the device's own log shows what it
    took and did not return, and so do two looks by QMP at the same indices.

    Undecided:

    - Chains under way less than 10 s before the trace ends.
    - A queue whose first waiting chain was not seen whole, or of a device that needs a reset: the
      driver may have made something available that no device can serve.
    """
    tally = Tally(none="no request was made available", doubt=AT_WORK)
    for entry in standstills(view):
        if not entry.requests or entry.turn != "device":
            continue
        if entry.ns < PREEMPTED_TASK or not entry.sound:
            tally.undecided(entry.count)
        else:
            tally.check(False, entry.rows, entry.sentence)
    tally.check_together(_returned(view), ())
    return tally.result()


@rule("DX-40", needs=("driver:add", "driver:kick", "driver:used"))
def driver_keeps_up(view: View) -> Result:
    """Sections 2.7.10 and 2.7.14: the driver notifies of what the device asked for, and takes what
    it is interrupted for.

    Checked: each used entry that the driver took, and each queue that stands still where it is
    the driver's turn: the device asked for a notification of an entry and none came; or the driver
    was interrupted, had seen the entry or looks by itself, and does not take it. A driver that
    leaves used entries of packets or events lie until it needs the room is within its rights, so
    that only queues of requests count for the second.

    Undecided: the same less than 10 s before the trace ends. A task may be preempted just before
    it notifies.
    """
    tally = Tally(none="the driver took no used entry", doubt=AT_WORK)
    for entry in standstills(view):
        if entry.turn != "driver" or not (entry.requests or entry.state == "published"):
            continue
        if entry.ns < PREEMPTED_TASK:
            tally.undecided(entry.count)
        else:
            tally.check(False, entry.rows, entry.sentence)
    tally.check_together(int(np.count_nonzero(view.used.accepted == 1)), ())
    return tally.result()


@rule("DX-18", needs=("driver:kick", "driver:add", "driver:used"))
def device_looks_before_it_sleeps(view: View) -> Result:
    """Section 2.7.10: a device that asks for no notification looks for new entries by itself, and
    looks once more after it asked for notifications again.

    Checked: each decision on a split queue that left the device without a notification, as the
    device's suppression in ring memory said: what was made available by then comes back. A device
    that enabled its notifications while the entry was there, and went to sleep without another
    look at the available index, never takes it. On a queue that stands still only chains that are
    requests count: other buffers lie there until the device has something to say.

    Undecided: the device's suppression changed between the two readings at the decision, or the
    trace ends within 10 s of the last movement.
    """
    rings, adds, pairs = view.rings, view.adds, view.pairs
    found = decisions(view)
    quiet = found.stable & ~found.requested & ~found.notified
    rows, queues = found.row[quiet], found.q[quiet]
    # The last chain that was made available before the decision.
    place = np.full(view.events.base.height, -1, dtype=np.int64)
    place[rings.row] = np.arange(len(rings.row))
    last = np.searchsorted(adds.at, place[rows]) - 1
    known = (last >= 0) & (len(adds.q) > 0)
    known[known] &= adds.q[last[known]] == queues[known]
    back = known.copy()
    back[known] = pairs.used_of[last[known]] >= 0
    tally = Tally(
        none="the device was notified of every entry",
        doubt="the suppression changed meanwhile, or " + AT_WORK,
    )
    tally.check_together(int(np.count_nonzero(back)), ())
    for entry in standstills(view):
        if entry.state != "asleep" or not entry.requests:
            continue
        if entry.ns < PREEMPTED_TASK or not entry.sound:
            tally.undecided(entry.count)
        else:
            tally.check(False, entry.rows, entry.sentence)
    return tally.result()


@rule(
    "DX-36", needs=("driver:queue", "driver:status", "driver:add", "driver:used", "driver:detach")
)
def requests_are_reclaimed(view: View) -> Result:
    """No section, from section 3.3, 2.1 and 2.6.1: after a reset of the device or of the queue, or
    after a queue broke, no request is forgotten: the driver takes its answer, or takes it back.

    Checked: each request that was outstanding when the driver reset the device or the queue, or
    declared the queue broken: it is returned or detached by the time the queue is deleted, or
    within 10 s.

    Undecided: the trace ends within 10 s, and the queue is still there; or the driver made a head
    available that was outstanding, so that an answer may be either chain's; or the device returned
    an id that was not, which the driver took for an answer.
    """
    tally = Tally(none="nothing was outstanding at a reset", doubt=AT_WORK)
    for found in interrupted_queues(view):
        if found.doubtful or (found.forgotten and found.open):
            tally.undecided(found.outstanding if found.doubtful else found.forgotten)
        else:
            wrong = [Violation(found.rows, found.sentence)] if found.forgotten else ()
            tally.check_together(found.outstanding, wrong)
    return tally.result()
