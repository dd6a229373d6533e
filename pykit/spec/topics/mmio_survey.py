# SPDX-License-Identifier: GPL-2.0-only
"""Registers of the MMIO transport (4.2.2) that say what a device is, as surveyed."""

from __future__ import annotations

from collections.abc import Iterator

from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.survey import Slot, slots
from pykit.spec.view import View

MAGIC, VERSION, QUEUE_READY, STATUS = (0x00, 4), (0x04, 4), (0x44, 4), (0x70, 4)
_MAGIC = 0x74726976
NONE = "no MMIO device was surveyed"


def _values(view: View, register: tuple[int, int]) -> Iterator[tuple[Slot, int, int]]:
    """Return the looks at devices in which a register was read, its row and its value."""
    for slot in slots(view):
        value = slot.value("mmio", register)
        if value is not None:
            yield slot, slot.row_of("mmio", register), value


@rule("MR-DE-01", needs="survey:survey_mmio", local=True)
def magic_is_right(view: View) -> Result:
    """Section 4.2.2.1: MagicValue reads 0x74726976, "virt".

    Checked: each surveyed MMIO device.
    """
    tally = Tally(none=NONE)
    for slot, row, value in _values(view, MAGIC):
        tally.check(value == _MAGIC, row, f"{slot.name}: MagicValue is {value:#x}")
    return tally.result()


@rule("MR-DE-02", needs="survey:survey_mmio", local=True)
def version_is_2(view: View) -> Result:
    """Section 4.2.2.1: Version reads 2.

    Checked: each surveyed MMIO device, except those that the capture says have the legacy
    interface only, whose version is 1 (4.2.4).
    """
    legacy = {
        view.events.devices.get(device.id)
        for device in view.events.capture.devices
        if device.legacy
    }
    tally = Tally(none=f"{NONE} that has more than the legacy interface")
    for slot, row, value in _values(view, VERSION):
        if slot.dev not in legacy:
            tally.check(value == 2, row, f"{slot.name}: Version is {value}")
    return tally.result()
