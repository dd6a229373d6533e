# SPDX-License-Identifier: GPL-2.0-only
"""Drivers that give a device up while they negotiate, by its registers (section 2.2.1)."""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.registers import LEGACY, MMIO, PCI, later, registers
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.view import View

_AGREED = bits.FEATURES_OK | bits.DRIVER_OK


@rule("FB-DR-10", needs=SEEN)
def giving_up_is_shown(view: View) -> Result:
    """Section 2.2.1: a driver that cannot do without a feature that is not offered sets FAILED.

    Checked: each span, from one reset of a device to the next, in which a driver that had written
    DRIVER read the offer: it goes on to FEATURES_OK (DRIVER_OK by the legacy interface), or it
    writes FAILED. A driver that resets the device and begins again has not given up. Why a driver
    gives up is not visible: behind the offer there is no other step that could fail but its own.

    Undecided: the device was not reset again, so that the driver may still go on.
    """
    regs = registers(view)
    mine = regs.of(PCI + MMIO + LEGACY)
    status, value = mine & regs.writes("status"), regs.value
    begun = status & (value & bits.DRIVER != 0) & (value & _AGREED == 0)
    begun &= later(begun, regs.span) < 0
    begun &= (later(mine & regs.reads("device_feature"), regs.span) >= 0) & regs.begun
    shown = later(status & (value & (_AGREED | bits.FAILED) != 0), regs.span) >= 0
    # In the same span or a later one.
    works = later(status & (value & _AGREED != 0), regs.dev) >= 0
    reset = later(status & (value == 0), regs.span)
    decided = shown | works | (reset >= 0)
    end = regs.row_at(reset)
    rows = regs.where(begun & decided, held=shown | works, end=end)
    return regs.check(
        rows,
        rows["held"],
        "{place}: the driver reads the offer and gives up, and FAILED was not written",
        shown=("row", "end"),
        undecided=int(np.count_nonzero(begun & ~decided)),
        doubt="the device was not reset again",
        none="no driver read an offer",
    )
