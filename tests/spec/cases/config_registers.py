# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/config_registers.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.cases.pci_registers import on_pci
from tests.spec.log import Log
from tests.spec.machine import run
from tests.spec.registers import mmio, repeat


def on_mmio() -> Log:
    """Return a log of a modern MMIO device."""
    return mmio().log


@case("DX-33", clean=on_pci)
@case("DX-33", clean=on_mmio)
def wide_field_before_the_features(log: Log) -> None:
    """The driver reads a field of 32 bits before it writes the features."""
    early = log.one("register", register="config", size=4)
    repeat(log, log.one("register", register="driver_feature", write=1), early, after=False)
    log.drop([early])


def with_generation() -> Log:
    """Return a log in which the registers show each read of the generation."""
    log = run()
    place = {"structure": "common", "register": "generation", "write": 0, "size": 1}
    for event in log.of("generation"):
        log.insert(event, "register", **place, offset=0x15, value=event["generation"])
    place |= {"structure": "config", "register": "config", "size": 4}
    for event in log.of("config"):
        log.insert(event, "register", **place, offset=event["offset"], value=0)
        log.insert(event, "register", **place | {"write": 1}, offset=event["offset"], value=0)
    return log


@case("CF-DR-03", clean=with_generation)
def generation_is_made_up(log: Log) -> None:
    """The driver takes a value for the generation that it does not read from the device."""
    log.drop(log.of("register", register="generation"))


@case("DX-33", clean=on_pci)
def field_by_bytes_before_version_1(log: Log) -> None:
    """The driver reads a byte of a field of 16 bits when it has accepted the lower features."""
    wide = log.one("register", register="config", size=2)
    first = log.one("register", register="driver_feature", write=1)
    repeat(log, first, wide, size=1)
    log.drop([wide])
