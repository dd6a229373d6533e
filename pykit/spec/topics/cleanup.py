# SPDX-License-Identifier: GPL-2.0-only
"""Device cleanup (section 3.3): no queue is taken away while the device may use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import are, ints
from pykit.spec.given import reset_alone
from pykit.spec.lives import Life
from pykit.spec.model import Result, rule
from pykit.spec.rings import ACCEPTED
from pykit.spec.rows import Tally
from pykit.spec.view import View
from pykit.trace.kinds import DELETED

NONE = "nothing was withdrawn from a live queue"
ALONE = "the queue may have been reset alone, which is not traced"


class _Withdrawal(NamedTuple):
    """A queue that is deleted after DRIVER_OK, or a chain of it that the driver takes back.

    Attributes:
        deleted: whether it is the queue, not a chain of it.
        q: number of the queue in view.rings.
        outstanding: chains that were made available and not returned.
        reset: whether the driver reset the device between DRIVER_OK and this.
        alone: whether the queue may have been reset alone, which only the registers' log shows.
    """

    life: Life
    name: str
    row: int
    deleted: bool
    q: int
    outstanding: int
    reset: bool
    alone: bool


def _withdrawals(view: View) -> list[_Withdrawal]:
    """Return what was withdrawn from queues that were live until then, or until a reset.

    Left out are queues that were joined late, of which some chains were not seen.
    """
    return view.keep("withdrawals", lambda view: list(_find_withdrawals(view)))


def _find_withdrawals(view: View) -> Iterator[_Withdrawal]:
    rings, adds, used = view.rings, view.adds, view.used
    taken = (used.accepted == 1) & used.fresh
    taken_q, taken_at = used.q[taken], used.at[taken]
    events = rings.of("queue", "detach")
    gone = are(events, "detach") | (ints(events, "op") == DELETED)
    for event in events.take(gone).dicts("row", "q", "at", "op"):
        row, q, at = event["row"], event["q"], event["at"]
        dev, number, vq = rings.queue[q]
        life = view.life(dev, number)
        ready = life.first_write(bits.DRIVER_OK)
        if ready is None or ready.row > row or not rings.whole[q]:
            continue
        # Both are in the order of q, then of at, which is one order over all queues.
        exposed = np.searchsorted(adds.at, at) - np.searchsorted(adds.q, q)
        returned = np.searchsorted(taken_at, at) - np.searchsorted(taken_q, q)
        reset = any(s.op == bits.STATUS_RESET and ready.row < s.row < row for s in life.status)
        name = f"{life.name}, queue {vq}"
        alone = not reset and life.has(bits.RING_RESET) is not False
        alone = alone and reset_alone(view, rings.queue[q]) is not False
        left = int(exposed - returned)
        yield _Withdrawal(life, name, row, event["op"] == DELETED, q, left, reset, alone)


@rule(
    "CL-DR-02",
    needs=(
        *("driver:queue", "driver:status", "driver:add", "driver:used"),
        "driver:detach|access:acc_ring",
    ),
)
def reset_before_withdrawal(view: View) -> Result:
    """Section 3.3.1: the driver resets the device before it removes buffers from a live queue.

    Checked: each deletion of a queue after DRIVER_OK, if the queue was seen from its set-up on:
    without a reset before, no chain may be outstanding. And each chain of such a queue that the
    driver takes back unanswered: a reset came before.

    Undecided: either without a reset of the device where RING_RESET was negotiated, or may have
    been, unless the registers' log shows that the queue was not reset alone.
    """
    tally = Tally(none=NONE, doubt=ALONE)
    for gone in _withdrawals(view):
        if gone.alone:
            tally.undecided()
            continue
        holds = gone.reset or (gone.deleted and gone.outstanding <= 0)
        what = "deleted" if gone.deleted else "a chain was taken back"
        text = f"{gone.name}: {what} live, {gone.outstanding} outstanding"
        tally.check(holds, gone.row, text)
    return tally.result()


@rule("DX-28", needs=("driver:queue", "driver:status", "driver:add", "driver:used"))
def reset_before_ring_memory_goes(view: View) -> Result:
    """Section 3.3: the driver resets the device before it frees its rings, and leaves no request
    outstanding when it is suspended.

    Checked: the same deletions as for CL-DR-02: a reset comes before each; if the driver was
    suspended, no chain is outstanding either. Whether a driver that is unloaded leaves requests is
    not looked at: a device that was pulled out does not answer, and the trace does not show the
    difference. That a queue is never deleted is not either.

    Outstanding chains are tolerated where the device did not answer as it should, so that the
    driver had to give them up:

    - The suspension ended with an error: it was none, the device was reset as it did not answer.
    - The driver rejected a used entry of the queue: a chain may have come back under an id that
      the driver did not accept.
    - The device was reset more than once: the first reset was for a broken device, and its
      requests failed without an answer.
    """
    tally = Tally(none=NONE, doubt=ALONE)
    rejecting = set(view.used.q[view.used.accepted != ACCEPTED].tolist())
    for life, name, row, deleted, q, outstanding, reset, alone in _withdrawals(view):
        if not deleted:
            continue
        if alone:
            tally.undecided()
            continue
        if not reset:
            tally.check(False, row, f"{name}: deleted, and no reset before")
            continue
        frozen = next((s for s in life.stages if s.stage == bits.FREEZE and not s.err), None)
        resets = sum(s.op == bits.STATUS_RESET for s in life.status if s.row < row)
        given_up = frozen is None or q in rejecting or resets > 1
        text = f"{name}: {outstanding} requests outstanding when the driver was suspended"
        tally.check(given_up or outstanding <= 0, (frozen.row, row) if frozen else row, text)
    return tally.result()
