# SPDX-License-Identifier: GPL-2.0-only
"""Events of a transport survey, written down as its decoder makes them."""

from __future__ import annotations

from typing import Any

from tests.spec.log import Event, Log
from tests.spec.machine import run

SURVEY = {
    "vendor_id": 0x1AF4, "device_id": 0x1042, "subsystem_vendor_id": 0x1AF4,
    "subsystem_id": 0x1100, "class_code": 0x10000, "command": 0x507, "pci_status": 0x10,
    "revision_id": 1, "header_type": 0, "interrupt_pin": 1, "state": "end", "place": "01:00.0",
}  # fmt: skip
#: Registers of the common configuration: one queue, selected; the upper features are shown.
REGISTERS = {
    (0x00, 4): 1, (0x04, 4): 0x101, (0x12, 2): 1, (0x14, 1): 15, (0x15, 1): 0, (0x16, 2): 0,
    (0x18, 2): 256, (0x1E, 2): 0,
}  # fmt: skip


def cap(log: Log, cfg_type: int, pos: int, **fields: Any) -> Event:
    """Add one of virtio's capabilities, in BAR 4."""
    whole = {
        "cap_id": 9, "cap_next": 0, "cap_len": 16, "bar": 4, "sub_id": 0, "start": 0,
        "length": 0x1000,
    }  # fmt: skip
    whole |= {"cfg_type": cfg_type, "pos": pos, **fields}
    return log.add("survey_cap", dev=1, reading=0, **whole)


def surveyed(log: Log | None = None, *, registers: dict[tuple[int, int], int] | None = None) -> Log:
    """Return a log with the survey of a modern disk behind what happened with it."""
    log = log or run()
    place = {"dev": 1, "reading": 0}
    log.add("survey_pci", **place, **SURVEY)
    log.add("survey_bar", **place, bar=1, start=0xFE400000, length=4096, io=0, wide=0)
    log.add("survey_bar", **place, bar=4, start=0xFE800000, length=16384, io=0, wide=1)
    log.add(
        "survey_cap", **place, cap_id=0x11, pos=0x40, cap_next=0x50, vectors=2, enabled=1
    )  # fmt: skip
    cap(log, 2, 0x50, start=0x3000, cap_len=20, multiplier=4)
    cap(log, 4, 0x64, start=0x2000)
    cap(log, 3, 0x74, start=0x1000)
    cap(log, 1, 0x84)
    cap(log, 5, 0x94, bar=0, length=0, cap_len=20)
    for (offset, width), value in (REGISTERS if registers is None else registers).items():
        fields = {"region": "common", "offset": offset, "len": width, "value": value}
        log.add("survey_register", **place, **fields)
    return log


def register(log: Log, offset: int) -> Event:
    """Return the event of a register."""
    return log.one("survey_register", offset=offset)


def transitional() -> Log:
    """Return a log with the survey of a transitional disk."""
    log = surveyed()
    log.one("survey_pci").update(device_id=0x1001, revision_id=0, subsystem_id=2)
    log.add("survey_bar", dev=1, reading=0, bar=0, start=0xC000, length=128, io=1, wide=0)
    return log
