# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/pci_driver.py."""

from __future__ import annotations

from typing import Any

from pykit.spec import bits
from tests.spec.cases.base import case, clear_bits, set_bits
from tests.spec.cases.pci_survey import with_functions
from tests.spec.log import Log
from tests.spec.survey import register, surveyed, transitional


@case("PY-DR-01", "PC-DR-06", "PY-DR-03", "CF-DR-05", clean=surveyed)
@case("PY-DR-02", clean=transitional)
def nobody_takes_it(log: Log) -> None:
    """QEMU resets the device, and no driver ever begins with it."""
    register(log, 0x14)["value"] = 0
    log.drop([event for event in log.events if event["source"] == "driver"])
    log.drop([e for e in log.of("dev_status") if e["status"]])


def mapping() -> Log:
    """Return a log with the mappings of Linux's driver: each structure, and the MSI-X table."""
    log = surveyed()
    for bar, start in ((1, 0), (4, 0), (4, 0x1000), (4, 0x2000), (4, 0x3000)):
        place = {"bar": bar, "start": start, "length": 4096, "page": 4096}
        log.add("survey_map", dev=1, reading=0, **place, symbol="pci_iomap_range")
    return log


@case("PC-DR-05", clean=mapping)
def all_of_the_bar_is_mapped(log: Log) -> None:
    """The driver maps BAR 4 from the common configuration to its end."""
    log.one("survey_map", bar=4, start=0)["length"] = 0x4000


@case("PC-DR-05", clean=mapping)
def long_structure_is_mapped_whole(log: Log) -> None:
    """The ISR status has 8 KiB, and the driver maps all of them."""
    log.one("survey_cap", cfg_type=3)["length"] = 0x2000
    log.drop(log.of("survey_cap", cfg_type=4))
    log.one("survey_map", bar=4, start=0x1000)["length"] = 0x2000


def with_two_notifications() -> Log:
    """Return a log of a driver that notifies by ports, which come first in the list."""
    log = surveyed()
    log.add("survey_bar", dev=1, reading=0, bar=2, start=0xC000, length=4, io=1, wide=0)
    second = log.one("survey_cap", cfg_type=2)
    first = dict(second, pos=0x44, bar=2, start=0, length=4, multiplier=0)
    log.events.insert(log.events.index(second), first)
    for _ in range(2):
        place = {"dev": 1, "life": None, "cfg_type": 2, "pos": 0x44, "offset": 0}
        log.add("dev_structure", **place, value=0, size=2, write=1)
    return log


@case("PC-DR-02", clean=with_two_notifications)
def second_structure_is_used(log: Log) -> None:
    """The driver notifies in memory, whose capability comes behind that of the ports."""
    log.one("dev_structure", 1)["pos"] = 0x50


def configured(*accesses: tuple[int, int, int]) -> Log:
    """Return a log of a guest that accesses a space: offset, value, and whether it writes."""
    log = surveyed()
    for offset, value, write in ((0x04, 0x507, 1), *accesses):
        place = {"dev": 1, "life": None, "place": "01:00.0"}
        log.add("dev_pci_config", **place, offset=offset, value=value, write=write)
    return log


def writing() -> Log:
    """Return a log of a guest that places the window of the configuration access."""
    return configured((0x98, 4, 1), (0xA0, 2, 1), (0x9C, 0x12, 1))


@case("PC-DR-08", clean=writing)
def offset_is_written(log: Log) -> None:
    """The driver writes the offset of the common configuration's capability."""
    log.one("dev_pci_config", offset=0x9C)["offset"] = 0x8C


@case("PC-DR-08", clean=writing)
def type_of_window_is_written(log: Log) -> None:
    """The driver writes cap_len and cfg_type of the configuration access capability."""
    log.one("dev_pci_config", offset=0x98)["offset"] = 0x96


def looking() -> Log:
    """Return a log of a driver that reads the common capability, then a register."""
    log = configured((0x88, 4, 0), (0x8C, 0, 0))
    register_of = {"structure": "common", "register": "status", "offset": 20, "size": 1}
    log.add("register", dev=1, life=0, **register_of, value=0, write=0)
    return log


@case("OX-PL-01", clean=looking)
def place_is_not_looked_up(log: Log) -> None:
    """The driver uses the registers without having read where they are."""
    log.drop(log.of("dev_pci_config", offset=0x8C))


def with_virtual_functions() -> Log:
    """Return a log of a driver that negotiates SR_IOV and enables virtual functions."""
    log = with_functions()
    set_bits(log, acked=1 << bits.SR_IOV)
    ready = next(e for e in log.of("dev_status") if e["status"] & bits.DRIVER_OK)
    place: dict[str, Any] = {"life": None, "place": "01:00.0", "offset": 0x108, "write": 1}
    for value in (0x8, 0x9):
        log.insert(ready, "dev_pci_config", **{**place, "value": value})
    return log


@case("RF-DR-11", clean=with_virtual_functions)
def functions_without_the_feature(log: Log) -> None:
    """The driver enables virtual functions and has not accepted SR_IOV."""
    clear_bits(log, acked=1 << bits.SR_IOV)


@case("RF-DR-11", clean=with_virtual_functions)
def functions_before_the_features(log: Log) -> None:
    """The driver enables virtual functions before it sets FEATURES_OK."""
    enabling = log.one("dev_pci_config", offset=0x108, value=0x9)
    log.events.remove(enabling)
    agreed = next(e for e in log.of("dev_status") if e["status"] & bits.FEATURES_OK)
    log.events.insert(log.events.index(agreed), enabling)
