# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/config_fields.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.survey import surveyed


@case("DX-30", clean=surveyed)
def structure_is_too_short(log: Log) -> None:
    """The device configuration structure ends before the last field of the offer."""
    log.one("survey_cap", cfg_type=4)["length"] = 40


def halved() -> Log:
    """Return a log of a driver that reads the halves of the capacity in each order."""
    disk = Disk()
    disk.log.drop(disk.log.of("config", offset=0))
    for offset in (0, 4, 4, 0, 0, 4):
        value = 0 if offset else 1 << 20
        disk.log.add("config", **disk.place, offset=offset, len=4, value=value, write=0)
    return disk.log


@case("PL-DE-01", clean=halved)
def half_depends_on_the_other(log: Log) -> None:
    """The upper half has a value only behind a read of the lower one."""
    log.one("config", 1, offset=4, len=4)["value"] = 0xFFFFFFFF
