# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/legacy.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Event, Log
from tests.spec.registers import DEV, legacy


def on_pci() -> Log:
    """Return a log of a PCI device of the legacy interface."""
    return legacy().log


def on_mmio() -> Log:
    """Return a log of an MMIO device of version 1."""
    return legacy("mmio-legacy").log


def _first(log: Log, name: str, write: int, nth: int = 0, **fields: object) -> Event:
    return log.one("register", nth, register=name, write=write, **fields)


@case("LG-ID-01", clean=on_pci)
def features_ok_is_set(log: Log) -> None:
    """The driver sets FEATURES_OK by the legacy interface."""
    log.of("register", register="status", write=1)[-1]["value"] = 0x0F


@case("LG-CD-01", clean=on_pci)
def capacity_is_read_once(log: Log) -> None:
    """The driver reads the capacity once."""
    log.drop(log.of("register", register="config")[2:])


def transitional() -> Log:
    """Return a log of a device that is driven by both interfaces in turn."""
    device = legacy()
    device.reset()
    device.structure, device.legacy = "common", False
    device.negotiate()
    return device.log


@case("LG-RE-03", clean=transitional)
def any_layout_is_missing(log: Log) -> None:
    """The device does not offer ANY_LAYOUT by the legacy interface."""
    _first(log, "device_feature", 0)["value"] = 0


@case("LG-RD-01", clean=on_mmio)
def any_layout_is_declined(log: Log) -> None:
    """The driver does not accept ANY_LAYOUT."""
    _first(log, "driver_feature", 1)["value"] = 0


@case("LG-RD-02", clean=on_pci)
def bit_30_is_accepted(log: Log) -> None:
    """The driver accepts feature bit 30."""
    _first(log, "driver_feature", 1)["value"] |= 1 << 30


@case("LG-SD-01", clean=on_pci)
def size_is_not_read(log: Log) -> None:
    """The driver sets a queue up without reading its size."""
    log.drop([_first(log, "queue_size", 0, vq=1)])


@case("LG-SD-01", clean=on_mmio)
def maximum_is_not_read(log: Log) -> None:
    """The driver sets a queue up without reading its largest size."""
    log.drop([_first(log, "queue_size_max", 0, vq=1)])


@case("LG-SD-03", clean=on_mmio)
def used_ring_elsewhere(log: Log) -> None:
    """The driver has the used ring one page further on."""
    log.one("queue")["used"] += 4096


@case("LG-SD-03", clean=on_pci)
def other_page(log: Log) -> None:
    """The driver writes another page than the one of its ring."""
    _first(log, "queue_pfn", 1)["value"] += 1


@case("LG-PD-01", clean=on_pci)
def interfaces_are_mixed(log: Log) -> None:
    """The driver reads a vector by the modern interface."""
    place = {"dev": DEV, "life": 0, "structure": "common", "register": "config_vector"}
    log.add("register", **place, offset=0x10, size=2, value=0, write=0)
