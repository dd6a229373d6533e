# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/negotiation.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.log import Log
from tests.spec.machine import run
from tests.spec.registers import legacy, mmio, pci


@case("FB-DR-03", clean=lambda: pci().log)
@case("FB-DR-03", clean=lambda: mmio().log)
@case("FB-DR-03", clean=lambda: legacy().log)
def offer_is_not_read(log: Log) -> None:
    """The driver accepts features and never reads the offer."""
    log.drop(log.of("register", register="device_feature"))


@case("FB-DR-03", clean=lambda: pci().log)
def half_of_the_offer_is_read(log: Log) -> None:
    """The driver reads the low half of the offer alone, and accepts bits of both."""
    for event in log.of("register", register="device_feature_select"):
        event["value"] = 0


def bound_twice() -> Log:
    """Return a log of two lives of a device, whose driver's steps were traced."""
    device = pci()
    for life in (0, 1):
        if life:
            device.reset()
            device.negotiate()
            device.ready()
        for stage in (bits.BEGIN, bits.PROBED, bits.REMOVE, bits.REMOVED):
            device.log.add("driver", dev=1, life=life, cpu=0, pid=7, id=2, err=0, stage=stage)
    return device.log


@case("FB-DR-03", clean=bound_twice)
def offer_is_remembered(log: Log) -> None:
    """A driver that is bound again accepts what it accepted before, and does not read the offer."""
    log.drop(log.of("register", register="device_feature", life=1))


def lesser_offer() -> Log:
    """Return a log of two lives, the second without a feature that the driver knows."""
    log = run(lives=2)
    for event in log.of("features"):
        event["driver"] |= 1 << bits.BLK_LIFETIME
        if event["life"] == 0:
            event["offered"] |= 1 << bits.BLK_LIFETIME
    return log


@case("FB-DR-09", clean=lesser_offer)
def gives_up_without_a_feature(log: Log) -> None:
    """The driver sets FAILED instead of DRIVER_OK where LIFETIME is not offered."""
    for event in log.of("status", life=1, op=0):
        if event["status"] & bits.DRIVER_OK:
            event["status"] = 0x8B
