# SPDX-License-Identifier: GPL-2.0-only
"""Device cleanup (section 3.3): no queue is taken away while the device may use it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pykit.spec import bits
from pykit.spec.lives import Life
from pykit.spec.model import Result, Violation, rule
from pykit.spec.view import View
from pykit.trace.kinds import DELETED

NONE = "no live queue was deleted"


def _deletions(view: View) -> list[tuple[Life, dict[str, int], int, bool]]:
    """Deleted queues that had been live: the event, chains outstanding, whether after a reset.

    Not those of which nobody saw what was outstanding when they were joined.
    """
    return view.keep("deletions", lambda view: list(_find_deletions(view)))


def _find_deletions(view: View) -> Iterator[tuple[Life, dict[str, int], int, bool]]:
    adds, used = view.adds, view.used
    taken = (used.accepted == 1) & used.fresh
    taken_q, taken_at = used.q[taken], used.at[taken]
    for event in view.rings.of("queue").dicts("row", "q", "at", "op"):
        dev, number, event["vq"] = view.rings.queue[event["q"]]
        life = view.life(dev, number)
        ready = life.first_write(bits.DRIVER_OK)
        if event["op"] != DELETED or ready is None or ready.row > event["row"]:
            continue
        q, at = event["q"], event["at"]
        if not view.rings.whole[q]:
            continue
        # Both are in the order of q, then of at, which is one order over all queues.
        exposed = np.searchsorted(adds.at, at) - np.searchsorted(adds.q, q)
        back = np.searchsorted(taken_at, at) - np.searchsorted(taken_q, q)
        reset = any(
            s.op == bits.STATUS_RESET and ready.row < s.row < event["row"] for s in life.status
        )
        yield life, event, int(exposed - back), reset


@rule("CL-DR-02", needs=("driver:queue", "driver:status"))
def reset_before_withdrawal(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life, event, outstanding, reset in _deletions(view):
        # A queue may also have been reset alone, which these events do not show.
        if not reset and life.has(bits.RING_RESET):
            continue
        checked += 1
        if outstanding > 0 and not reset:
            text = f"{life.name}, queue {event['vq']}: deleted live, {outstanding} outstanding"
            found.append(Violation((event["row"],), text))
    return Result(checked, tuple(found), why=NONE)


@rule("DX-28", needs=("driver:queue", "driver:status"))
def reset_before_ring_memory_goes(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    refused = set(view.used.q[view.used.accepted == 0].tolist())
    for life, event, outstanding, reset in _deletions(view):
        if not reset and life.has(bits.RING_RESET):
            continue
        checked += 1
        where = f"{life.name}, queue {event['vq']}"
        # With an error it is no suspension: the device was reset because it did not answer.
        frozen = next((s for s in life.stages if s.stage == bits.FREEZE and not s.err), None)
        rejected = event["q"] in refused
        resets = sum(s.op == bits.STATUS_RESET for s in life.status if s.row < event["row"])
        if not reset:
            found.append(Violation((event["row"],), f"{where}: deleted, and no reset before"))
        elif frozen and outstanding > 0 and not rejected and resets == 1:
            # A broken device is reset once more, and its requests fail without an answer.
            text = f"{where}: {outstanding} requests outstanding when the driver was suspended"
            found.append(Violation((frozen.row, event["row"]), text))
    return Result(checked, tuple(found), why=NONE)
