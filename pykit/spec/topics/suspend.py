# SPDX-License-Identifier: GPL-2.0-only
"""Suspending a device by its status (section 3.4 of the draft of version 1.4).

A suspension goes from the driver's write of SUSPEND over the read that shows SUSPEND without
DRIVER_OK, the write of DRIVER_OK that resumes the device, and the read that shows DRIVER_OK without
SUSPEND. It is judged by register accesses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import NEVER, Ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import Registers, notifications, registers
from pykit.spec.rows import Tally
from pykit.spec.timing import ONE_SIDE
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

SUSPEND = 16
NO_SUSPENSION = "no device was suspended"
LOGGED = ("registers:register", "qemu:dev_status")


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


def _suspensions(view: View) -> list[Suspension]:
    return view.keep("suspensions", _read)


def _read(view: View) -> list[Suspension]:
    regs = registers(view)
    accepted = regs.accepted(bits.SUSPEND)
    status = np.flatnonzero(regs.on("status") & regs.known)
    found: list[Suspension] = []
    now: Suspension | None = None
    span, before = -1, 0
    for at in status.tolist():
        row, value = int(regs.row[at]), int(regs.value[at])
        if regs.span[at] != span:
            span, before, now = int(regs.span[at]), 0, None
        if not regs.write[at]:
            _note(now, row, value)
            continue
        if value == 0:
            if now:
                now.end = row
            now = None
        elif now and now.shown >= 0 and now.resumed < 0 and value & bits.DRIVER_OK:
            now.resumed, now.reads = row, []
        elif value & SUSPEND and (now is None or now.running >= 0):
            initialized = bool(before & bits.DRIVER_OK)
            place = (int(regs.dev[at]), int(regs.life[at]))
            now = Suspension(*place, row, initialized, int(accepted[at]))
            found.append(now)
        before = value
    return found


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


def _first_after(rows: Ints, row: int) -> int:
    """Return the first of ``rows`` behind another one; NEVER if there is none."""
    later = rows[rows > row]
    return int(later.min()) if len(later) else NEVER


def _rows(regs: Registers, dev: int, mask: np.ndarray) -> Ints:
    found: Ints = regs.row[mask & (regs.dev == dev)]
    return found


@rule("DS-DR-01", needs=SEEN)
def suspends_what_runs(view: View) -> Result:
    """Section 3.4.1: the driver sets SUSPEND only with the feature and when DRIVER_OK is set.

    Checked: each write of SUSPEND: SUSPEND (43) was agreed on, and the status that was written
    before has DRIVER_OK. Undecided: the negotiation was not recorded.
    """
    tally = Tally(none=NO_SUSPENSION, doubt="the negotiation was not recorded")
    for one in _suspensions(view):
        if one.negotiated < 0 and one.initialized:
            tally.undecided()
            continue
        why = "without DRIVER_OK" if not one.initialized else "which was not negotiated"
        holds = one.initialized and one.negotiated == 1
        tally.check(holds, one.asked, f"{one.name}: SUSPEND is set {why}")
    return tally.result()


@rule("DS-DR-02", needs=SEEN)
def suspension_is_verified(view: View) -> Result:
    """Section 3.4.1: the driver reads the status until the device is suspended.

    Checked: each write of SUSPEND after which the driver writes to a register again: a read has
    shown SUSPEND without DRIVER_OK, or DEVICE_NEEDS_RESET, before that. A reset needs no wait.
    """
    regs = registers(view)
    tally = Tally(none=NO_SUSPENSION)
    for one in _suspensions(view):
        then = _first_after(_rows(regs, one.dev, regs.write), one.asked)
        if then == NEVER or then == one.end:
            tally.undecided()
            continue
        seen = [row for row in (one.shown, one.failed) if one.asked < row < then]
        tally.check(
            bool(seen), (one.asked, then), f"{one.name}: the driver goes on before it is suspended"
        )
    return tally.result()


@rule("DS-DR-04", needs=SEEN)
def suspended_queues_are_not_notified(view: View) -> Result:
    """Section 3.4.1: the driver notifies no queue once it has set SUSPEND.

    Checked: each write of SUSPEND of a device of which notifications were recorded: none comes
    before the device is resumed or reset.
    """
    kicks = notifications(view)
    tally = Tally(none=NO_SUSPENSION, doubt="no notification of the device was recorded")
    for one in _suspensions(view):
        mine = kicks.row[kicks.dev == one.dev]
        if not len(mine):
            tally.undecided()
            continue
        wrong = mine[(mine > one.asked) & (mine < one.silent_until)]
        tally.check(
            not len(wrong), (one.asked, *wrong[:2].tolist()), f"{one.name}: notified when suspended"
        )
    return tally.result()


@rule("DS-DR-05", needs=SEEN)
def suspended_config_is_left_alone(view: View) -> Result:
    """Section 3.4.1: the driver does not write to the configuration once it has set SUSPEND.

    Checked: each write of SUSPEND: no write to the device's own configuration comes before the
    device is resumed or reset.
    """
    regs = registers(view)
    tally = Tally(none=NO_SUSPENSION)
    for one in _suspensions(view):
        mine = _rows(regs, one.dev, regs.on("config") & regs.write)
        wrong = mine[(mine > one.asked) & (mine < one.silent_until)]
        tally.check(
            not len(wrong),
            (one.asked, *wrong[:2].tolist()),
            f"{one.name}: the configuration is written when suspended",
        )
    return tally.result()


@rule("DS-DR-06", needs=SEEN)
def resumption_is_waited_for(view: View) -> Result:
    """Section 3.4.1: after it resumed a device the driver waits for DRIVER_OK without SUSPEND.

    Checked: each write of DRIVER_OK to a suspended device after which the driver writes to a
    register or notifies a queue: a read has shown DRIVER_OK without SUSPEND, or
    DEVICE_NEEDS_RESET, before that. A reset needs no wait.
    """
    regs, kicks = registers(view), notifications(view)
    tally = Tally(none="no device was resumed")
    for one in _suspensions(view):
        if one.resumed < 0:
            continue
        writes = [_rows(regs, one.dev, regs.write), kicks.row[kicks.dev == one.dev]]
        then = _first_after(np.concatenate(writes), one.resumed)
        if then == NEVER or then == one.end:
            tally.undecided()
            continue
        seen = [row for row in (one.running, one.failed) if one.resumed < row < then]
        tally.check(
            bool(seen), (one.resumed, then), f"{one.name}: the driver goes on before it is resumed"
        )
    return tally.result()


@rule("DS-DE-01", needs=SEEN)
def early_suspend_is_ignored(view: View) -> Result:
    """Section 3.4.2: the device ignores SUSPEND before it is initialized completely.

    Checked: each status read after a write of SUSPEND without DRIVER_OK: it has no SUSPEND.
    """
    tally = Tally(none="no driver set SUSPEND before DRIVER_OK")
    for one in _suspensions(view):
        for row, value in one.early:
            text = f"{one.name}: SUSPEND shows ({value:#x}) before DRIVER_OK"
            tally.check(not value & SUSPEND, (one.asked, row), text)
    return tally.result()


def _silent(view: View, kinds: tuple[str, ...], text: str) -> Result:
    """Check that QEMU's log has no such event while a device is suspended."""
    tally = Tally(none=NO_SUSPENSION, doubt="QEMU's log does not have the device's registers")
    logged = set(view.of("register")["row"].to_list())
    events = view.columns(*kinds)
    for one in _suspensions(view):
        if one.shown < 0:
            continue
        if one.shown not in logged:
            tally.undecided()
            continue
        mine = events["row"][events["dev"] == one.dev]
        wrong = mine[(mine > one.shown) & (mine < one.silent_until)]
        tally.check(not len(wrong), (one.shown, *wrong[:2].tolist()), f"{one.name}: {text}")
    return tally.result()


@rule("DS-DE-03", needs=LOGGED)
def suspended_device_is_silent(view: View) -> Result:
    """Section 3.4.2: a suspended device accesses no queue and sends no notification for one.

    Checked: each suspension that a read has shown, by QEMU's log: no chain is taken or returned
    and no interrupt raised until it is resumed or reset. Whether the device changes its
    configuration is not judged.
    """
    kinds = ("dev_pop", "dev_fill", "dev_flush", "dev_signal")
    return _silent(view, kinds, "a queue is used or an interrupt raised when suspended")


def _answers(view: View, resumed: bool) -> Result:
    """Check that a request ends in the state that was asked for, or in DEVICE_NEEDS_RESET."""
    tally = Tally(none=NO_SUSPENSION, doubt="the driver did not wait")
    ts = view.events.base["ts"]
    for one in _suspensions(view):
        begun, done = (one.resumed, one.running) if resumed else (one.asked, one.shown)
        if begun < 0 or not one.initialized or one.negotiated != 1:
            continue
        if done >= 0 or one.failed >= 0:
            tally.check(True, begun, "")
            continue
        last = one.reads[-1][0] if one.reads else -1
        if not resumed and one.resumed >= 0:
            last = -1
        start, end = ts[begun], ts[last] if last >= 0 else None
        if start is None or end is None or end - start <= ONE_SIDE:
            tally.undecided()
            continue
        what = "resumed" if resumed else "suspended"
        text = f"{one.name}: neither {what} nor DEVICE_NEEDS_RESET, but {one.reads[-1][1]:#x}"
        tally.check(False, (begun, last), text)
    return tally.result()


@rule("DS-DE-06", needs=SEEN)
def suspends_or_fails(view: View) -> Result:
    """Section 3.4.2: the device suspends itself on request, or sets DEVICE_NEEDS_RESET.

    Checked: each write of SUSPEND to a running device: a later read shows one of the two. It is
    wrong if the driver still reads something else 1 s later, and undecided if it stopped before.
    """
    return _answers(view, resumed=False)


@rule("DS-DE-07", needs=SEEN)
def resumes_or_fails(view: View) -> Result:
    """Section 3.4.2: the device resumes on request, or sets DEVICE_NEEDS_RESET.

    Checked: each write of DRIVER_OK to a suspended device: a later read shows one of the two. It
    is wrong if the driver still reads something else 1 s later, and undecided if it stopped before.
    """
    return _answers(view, resumed=True)
