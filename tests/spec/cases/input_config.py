# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rule of an input device's answers."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import bare, case
from tests.spec.log import Log
from tests.spec.machine import OFFERED

#: select, subsel and size of a keyboard.
_ANSWERS = ((1, 0, 20), (0x11, 3, 0), (0x12, 0, 0), (0, 0, 0), (0x7F, 0, 0))


def keyboard() -> Log:
    """Return a log of a keyboard that is asked for what it has, and for what there is not."""
    log = bare(offered=OFFERED & ~((1 << 24) - 1), id=bits.INPUT_ID)
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7, "len": 1}
    for answer in _ANSWERS:
        for offset, value in enumerate(answer):
            log.add("config", **place, offset=offset, value=value, write=int(offset < 2))
    return log


def _answered(log: Log, select: int) -> None:
    for event, after in zip(log.of("config")[::3], log.of("config")[2::3], strict=True):
        if event["value"] == select:
            after["value"] = 4


@case("IP-DE-02", clean=keyboard)
def undefined_selection_is_answered(log: Log) -> None:
    """The device has four bytes for a selection that is not defined."""
    _answered(log, 0x7F)


@case("IP-DE-02", clean=keyboard)
def axis_of_none_is_answered(log: Log) -> None:
    """A keyboard has four bytes for an axis."""
    _answered(log, 0x12)
