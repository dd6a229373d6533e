# SPDX-License-Identifier: GPL-2.0-only
"""Suspensions of devices (section 3.4 of the draft of version 1.4), from register accesses.

A suspension goes from the driver's write of SUSPEND over the read that shows SUSPEND without
DRIVER_OK, the write of DRIVER_OK that resumes the device, and the read that shows DRIVER_OK without
SUSPEND.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import NEVER
from pykit.spec.registers import registers

if TYPE_CHECKING:
    from pykit.spec.view import View

SUSPEND = 16
NO_SUSPENSION = "no device was suspended"


@dataclass
class Suspension:
    """One suspension; rows are -1 (NEVER for ``end``) where the trace has none.

    ``asked``: the write of SUSPEND; ``shown``: the read that shows the suspension; ``resumed``: the
    write that ends it; ``running``: the read that shows so; ``failed``: a read with
    DEVICE_NEEDS_RESET; ``end``: the reset or end of the span; ``reads``: status reads after the
    last write, as (row, status); ``early``: those of a device that was not initialized.
    """

    dev: int
    life: int
    asked: int
    initialized: bool
    negotiated: int
    shown: int = -1
    resumed: int = -1
    running: int = -1
    failed: int = -1
    end: int = NEVER
    reads: list[tuple[int, int]] = field(default_factory=list)
    early: list[tuple[int, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the name that messages use."""
        return f"device {self.dev}, life {self.life}"

    @property
    def silent_until(self) -> int:
        """Return the row up to which the driver has to leave the device alone."""
        return self.resumed if self.resumed >= 0 else self.end


def suspensions(view: View) -> list[Suspension]:
    """Return all suspensions that register accesses show, each device's in order."""
    return view.keep("suspensions", _of_registers)


def traced_suspensions(view: View) -> list[Suspension]:
    """Return the same by the driver's own trace, whose rows its other events are in order with."""
    return view.keep("traced suspensions", _of_lives)


def _of_registers(view: View) -> list[Suspension]:
    regs = registers(view)
    accepted = regs.accepted(bits.SUSPEND)
    status = np.flatnonzero(regs.on("status") & regs.known)
    found: list[Suspension] = []
    for mine in np.split(status, np.flatnonzero(np.diff(regs.span[status])) + 1):
        if not len(mine):
            continue
        place = (int(regs.dev[mine[0]]), int(regs.life[mine[-1]]))
        walk = _Walk(*place)
        for at in mine.tolist():
            walk.see(int(regs.row[at]), int(regs.value[at]), bool(regs.write[at]), accepted[at])
        found += walk.found
    return found


def _of_lives(view: View) -> list[Suspension]:
    found: list[Suspension] = []
    for life in view.lives.values():
        walk, agreed = _Walk(life.dev, life.number), life.has(bits.SUSPEND)
        for status in life.status:
            write = status.op != bits.STATUS_READ
            value = 0 if status.op == bits.STATUS_RESET else status.value
            walk.see(status.row, value, write, -1 if agreed is None else int(agreed))
        found += walk.found
    return found


class _Walk:
    """Reads the suspensions of one device between two resets from accesses to its status."""

    def __init__(self, dev: int, life: int) -> None:
        self._place = (dev, life)
        self._now: Suspension | None = None
        self._before = 0
        self.found: list[Suspension] = []

    def see(self, row: int, value: int, write: bool, negotiated: int) -> None:
        """Enter an access; ``negotiated``: whether SUSPEND is by then (1, 0; -1: unknown)."""
        now = self._now
        if not write:
            _note(now, row, value)
            return
        if value == 0:
            if now:
                now.end = row
            self._now = None
        elif now and now.shown >= 0 and now.resumed < 0 and value & bits.DRIVER_OK:
            now.resumed, now.reads = row, []
        elif value & SUSPEND and (now is None or now.running >= 0):
            initialized = bool(self._before & bits.DRIVER_OK)
            self._now = Suspension(*self._place, row, initialized, int(negotiated))
            self.found.append(self._now)
        self._before = value


def _note(now: Suspension | None, row: int, value: int) -> None:
    """Enter a read of the status."""
    if now is None:
        return
    now.reads.append((row, value))
    if not now.initialized and now.resumed < 0:
        now.early.append((row, value))
    if value & bits.NEEDS_RESET:
        now.failed = row
    elif now.resumed < 0 and value & SUSPEND and not value & bits.DRIVER_OK and now.shown < 0:
        now.shown = row
    elif now.resumed >= 0 and value & bits.DRIVER_OK and not value & SUSPEND and now.running < 0:
        now.running = row
