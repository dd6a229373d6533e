# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/pci_structures.py."""

from __future__ import annotations

from typing import Any

from tests.spec.cases.base import case
from tests.spec.cases.pci_driver import nobody_takes_it
from tests.spec.log import Log
from tests.spec.survey import cap, surveyed


def with_one(**fields: Any) -> Log:
    """Return a log of a device with one more capability, of which its driver makes nothing."""
    log = surveyed()
    place = {"cfg_type": 3, "pos": 0xC0, "start": 0x1000}
    cap(log, **{**place, **fields})
    return log


def reserved_type() -> Log:
    """Return a log of a device with a capability of a type that is not defined."""
    return with_one(cfg_type=0x77)


def longer() -> Log:
    """Return a log of a device with a capability that has more bytes than it needs."""
    return with_one(cap_len=20)


def reserved_bar() -> Log:
    """Return a log of a device with a structure in a BAR that is not defined."""
    return with_one(bar=6)


@case("PC-DR-01", clean=reserved_type)
@case("PC-DR-03", clean=longer)
@case("PC-DR-04", clean=reserved_bar)
def driver_gives_up(log: Log) -> None:
    """No driver ever begins with the device."""
    nobody_takes_it(log)


def without_capabilities() -> Log:
    """Return a log of a device that no driver finds an interface of."""
    log = surveyed()
    log.drop(log.of("survey_cap", cap_id=9))
    nobody_takes_it(log)
    return log


@case("OX-PL-02", clean=without_capabilities)
def driver_goes_on(log: Log) -> None:
    """A driver sets status bits of the device all the same."""
    log.one("dev_status", status=0)["status"] = 3
