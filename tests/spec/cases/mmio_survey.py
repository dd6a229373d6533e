# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/mmio_survey.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.machine import run


def on_mmio() -> Log:
    """Return a log with the survey of an MMIO disk."""
    log = run()
    log.device_type = "virtio-blk-device"
    place = {"dev": 1, "reading": 0}
    log.add("survey_mmio", **place, state="plug", start=0xFEB00000)
    for offset, value in {0: 0x74726976, 4: 2, 8: 2, 0x44: 0, 0x70: 0}.items():
        fields = {"region": "mmio", "offset": offset, "len": 4, "value": value}
        log.add("survey_register", **place, **fields)
    return log


@case("MR-DE-01", clean=on_mmio)
def wrong_magic(log: Log) -> None:
    """MagicValue has its bytes in the other order."""
    log.one("survey_register", offset=0)["value"] = 0x76697274


@case("MR-DE-02", clean=on_mmio)
def version_3(log: Log) -> None:
    """Version reads 3."""
    log.one("survey_register", offset=4)["value"] = 3
