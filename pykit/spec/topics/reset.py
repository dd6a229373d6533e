# SPDX-License-Identifier: GPL-2.0-only
"""Device reset (section 2.4)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import NEVER
from pykit.spec.lives import Status
from pykit.spec.model import Result, Violation, rule
from pykit.spec.view import View

#: A status that is not zero so long after a reset will not become so, ns.
LONG = 1_000_000_000
UNREAD = "the status was not read after a reset"


def _resets(view: View) -> Iterator[tuple[str, Status, list[Status], Status | None]]:
    """Each reset by a driver: of which device, the reads after it, the write after those.

    The core reads the status again when the driver's life is over, so lives do not matter.
    """
    for (dev,), rows in view.of("status").group_by("dev", maintain_order=True):
        seen = [Status(*row) for row in rows.select("row", "ts", "status", "op").iter_rows()]
        for i, reset in enumerate(seen):
            if reset.op == bits.STATUS_RESET:
                later = seen[i + 1 :]
                after = next((s for s in later if s.op != bits.STATUS_READ), None)
                reads = later if after is None else later[: later.index(after)]
                yield f"device {dev}", reset, reads, after


@rule("RS-DE-01", needs="driver:status")
def reset_clears_status(view: View) -> Result:
    checked, undecided = 0, 0
    found: list[Violation] = []
    for name, reset, reads, _ in _resets(view):
        if not reads:
            continue
        last = reads[-1]
        cleared = any(not r.value for r in reads)
        waited = reset.ts is not None and last.ts is not None and last.ts - reset.ts > LONG
        if last.value and not cleared and not waited:
            undecided += 1
            continue
        checked += 1
        if last.value:
            text = f"{name}: status {last.value:#x} after a reset"
            found.append(Violation((reset.row, last.row), text))
    return Result(checked, tuple(found), undecided, UNREAD, "the driver did not wait")


@rule("RS-DR-01", needs="driver:status")
def reset_is_waited_for(view: View) -> Result:
    checked = 0
    found: list[Violation] = []
    for name, reset, reads, after in _resets(view):
        # The transport may have read it where the driver's tracepoints do not reach.
        if not reads or after is None or after.op == bits.STATUS_RESET:
            continue
        checked += 1
        if reads[-1].value:
            text = f"{name}: the driver goes on, the status was {reads[-1].value:#x}"
            found.append(Violation((reset.row, reads[-1].row, after.row), text))
    return Result(checked, tuple(found), why=UNREAD)


def _silence(view: View, kinds: tuple[str, ...], what: str) -> Result:
    """Between the first status write after a reset and the DRIVER bit.

    QEMU logs the reset when it begins, and finishes what is under way before it returns: only
    the next write shows that the reset is over.
    """
    checked = 0
    found: list[Violation] = []
    doings, statuses = view.columns(*kinds), view.columns("dev_status")
    for dev in dict.fromkeys(statuses["dev"].tolist()):
        if dev in view.elsewhere:
            continue
        own, told = doings.take(doings["dev"] == dev), statuses.take(statuses["dev"] == dev)
        mine, queues = own["row"], own["vq"]
        rows = zip(told["row"].tolist(), told["status"].tolist(), strict=True)
        for start, stop in _windows(list(rows)):
            checked += 1
            low, high = np.searchsorted(mine, [start, NEVER if stop is None else stop])
            found += [
                Violation((int(mine[i]),), f"device {dev}, queue {queues[i]}: {what} after a reset")
                for i in range(int(low), int(high))
            ]
    return Result(checked, tuple(found), why="no status was written after a reset")


def _windows(statuses: list[tuple[int, int]]) -> Iterator[tuple[int, int | None]]:
    """Rows from the first write after a reset to the next reset or DRIVER_OK."""
    reset, start = False, None
    for row, status in statuses:
        if status == 0 or status & bits.DRIVER_OK:
            if start is not None:
                yield start, row
            reset, start = status == 0, None
        elif reset and start is None:
            start = row
    if start is not None:
        yield start, None


@rule("RS-DE-02", needs=("qemu:dev_status", "qemu:dev_signal"))
def no_notification_after_reset(view: View) -> Result:
    return _silence(view, ("dev_signal",), "an interrupt was sent")


@rule("RS-DE-03", needs=("qemu:dev_status", "qemu:dev_pop"))
def no_queue_access_after_reset(view: View) -> Result:
    return _silence(view, ("dev_pop", "dev_fill", "dev_flush"), "a queue was used")
