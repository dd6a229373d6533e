# SPDX-License-Identifier: GPL-2.0-only
"""Device cleanup (section 3.3): no queue is taken away while the device may use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pykit.spec import bits
from pykit.spec.lives import Life
from pykit.spec.model import Result, Violation, rule
from pykit.spec.view import View

NONE = "no live queue was deleted"


def _deletions(view: View) -> Iterator[tuple[Life, dict[str, Any], int, bool]]:
    """Deleted queues that had been live: the event, chains outstanding, whether after a reset."""
    adds, used = view.adds, view.used
    taken = used.accepted == 1
    for event in view.rings.of("queue").iter_rows(named=True):
        life = view.life(event["dev"], event["life"])
        ready = life.first_write(bits.DRIVER_OK)
        if event["op"] != 1 or ready is None or ready.row > event["row"]:
            continue
        q, at = event["q"], event["at"]
        exposed = np.count_nonzero((adds.q == q) & (adds.at < at))
        back = np.count_nonzero((used.q == q) & taken & used.fresh & (used.at < at))
        reset = any(
            s.op == bits.STATUS_RESET and ready.row < s.row < event["row"] for s in life.status
        )
        yield life, event, int(exposed - back), reset


@rule("CL-DR-02", "driver:queue", "driver:status")
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


@rule("DX-28", "driver:queue", "driver:status")
def reset_before_ring_memory_goes(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for life, event, outstanding, reset in _deletions(view):
        if not reset and life.has(bits.RING_RESET):
            continue
        checked += 1
        where = f"{life.name}, queue {event['vq']}"
        # With an error it is no suspension: the device was reset because it did not answer.
        frozen = next((s for s in life.stages if s.stage == bits.FREEZE and not s.err), None)
        rejected = np.any((view.used.q == event["q"]) & (view.used.accepted == 0))
        resets = sum(s.op == bits.STATUS_RESET for s in life.status if s.row < event["row"])
        if not reset:
            found.append(Violation((event["row"],), f"{where}: deleted, and no reset before"))
        elif frozen and outstanding > 0 and not rejected and resets == 1:
            # A broken device is reset once more, and its requests fail without an answer.
            text = f"{where}: {outstanding} requests outstanding when the driver was suspended"
            found.append(Violation((frozen.row, event["row"]), text))
    return Result(checked, tuple(found), why=NONE)
