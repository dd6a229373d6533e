# SPDX-License-Identifier: GPL-2.0-only
"""Suspending a device by its status: the driver (section 3.4.1 of the draft of version 1.4).

What a suspension is: pykit/spec/suspensions.py. It is judged by register accesses, and what is made
available by the driver's own trace, in which its status writes are, too.
"""

from __future__ import annotations

import numpy as np

from pykit.spec.arrays import NEVER, Ints
from pykit.spec.model import Result, rule
from pykit.spec.registers import Registers, notifications, registers
from pykit.spec.rows import Tally
from pykit.spec.suspensions import NO_SUSPENSION, suspensions, traced_suspensions
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View
from pykit.text import counted


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
    for one in suspensions(view):
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
    for one in suspensions(view):
        then = _first_after(_rows(regs, one.dev, regs.write), one.asked)
        if then == NEVER or then == one.end:
            tally.undecided()
            continue
        seen = [row for row in (one.shown, one.failed) if one.asked < row < then]
        tally.check(
            bool(seen), (one.asked, then), f"{one.name}: the driver goes on before it is suspended"
        )
    return tally.result()


@rule("DS-DR-03", needs=("driver:status", "driver:add"))
def suspended_queues_get_nothing(view: View) -> Result:
    """Section 3.4.1: the driver makes no buffers available once it has set SUSPEND.

    Checked: each write of SUSPEND in the driver's trace of a device that has the feature: no chain
    is made available before the device is resumed or reset. Undecided: the negotiation was not
    recorded.
    """
    adds = view.columns("add")
    tally = Tally(none=NO_SUSPENSION, doubt="the negotiation was not recorded")
    for one in traced_suspensions(view):
        if one.negotiated < 0:
            tally.undecided()
        elif one.negotiated:
            mine = adds["row"][(adds["dev"] == one.dev) & (adds["life"] == one.life)]
            wrong = mine[(mine > one.asked) & (mine < one.silent_until)]
            tally.check(
                not len(wrong),
                (one.asked, *wrong[:2].tolist()),
                f"{one.name}: {counted(len(wrong), 'chain')} made available when suspended",
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
    for one in suspensions(view):
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
    for one in suspensions(view):
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
    for one in suspensions(view):
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
