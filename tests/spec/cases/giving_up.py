# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/giving_up.py."""

from __future__ import annotations

from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.registers import mmio, pci


def on_pci() -> Log:
    """Return a log of a PCI device that is driven and reset."""
    device = pci()
    device.reset()
    return device.log


def on_mmio() -> Log:
    """Return a log of an MMIO device that is driven and reset."""
    device = mmio()
    device.reset()
    return device.log


@case("FB-DR-10", clean=on_pci)
@case("FB-DR-10", clean=on_mmio)
def offer_is_turned_down_in_silence(log: Log) -> None:
    """The driver reads the offer, and resets the device without FAILED."""
    log.drop([e for e in log.of("register", register="status", write=1) if e["value"] & 0x0C])
