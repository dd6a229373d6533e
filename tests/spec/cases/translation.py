# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/translation.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case, set_bits
from tests.spec.log import Event, Log
from tests.spec.machine import run

PLACE = {"dev": 1, "life": None, "place": "01:00.0"}


def translated() -> Log:
    """Return a log of a disk whose addresses an IOMMU translates."""
    log = run()
    set_bits(log, offered=1 << bits.ACCESS_PLATFORM, acked=1 << bits.ACCESS_PLATFORM)
    log.insert(log.of("dev_status")[0], "dev_translation", **PLACE, enabled=1)
    return log


def refused(log: Log, address: int, *, write: bool = False) -> Event:
    """Add an access that the IOMMU refused, when the driver was ready."""
    ready = next(e for e in log.of("dev_status") if e["status"] & bits.DRIVER_OK)
    return log.insert(ready, "dev_dma_fault", **PLACE, addr=address, write=int(write))


@case("RF-DR-04", clean=translated)
def ring_is_not_translated(log: Log) -> None:
    """The available ring is at an address that the IOMMU does not translate."""
    refused(log, log.of("queue")[0]["avail"])


@case("RF-DR-04", clean=translated)
def buffer_is_not_translated(log: Log) -> None:
    """A buffer of a chain, which never comes back, is at an address without a translation."""
    chain = log.of("add")[-1]
    log.drop([event for event in log.of("used") if event["id"] == chain["head"]][-1:])
    own = [e for e in log.of("desc", head=chain["head"]) if e["ts"] >= chain["ts"]]
    own[-1]["addr"] = 0x7FFF_0000
    refused(log, 0x7FFF_0000, write=True)
