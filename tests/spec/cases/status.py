# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/status.py."""

from __future__ import annotations

from tests.spec.cases.base import bare, case, later
from tests.spec.log import Log
from tests.spec.machine import run


@case("ST-DR-01", "IN-DR-01")
def features_ok_is_skipped(log: Log) -> None:
    log.drop([*log.of("status", status=0x0B), *log.of("dev_status", status=0x0B)])
    for event in [*log.of("status", status=0x0F), *log.of("dev_status", status=0x0F)]:
        event["status"] = 0x07


@case("ST-DR-02")
def driver_bit_vanishes(log: Log) -> None:
    log.one("dev_status", status=0x0F)["status"] = 0x0D
    log.one("status", status=0x0F, op=0)["status"] = 0x0D


def with_failure() -> Log:
    log = bare()
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    log.add("driver", **place, id=2, err=-22, stage=2)
    log.add("status", **place, status=0x8B, op=0)
    log.add("dev_status", dev=1, life=0, pid=1, status=0x8B)
    later(log)
    return log


@case("ST-DR-03", clean=with_failure)
def begins_again_after_failed(log: Log) -> None:
    log.insert(log.one("dev_status", status=0x8B), "dev_status", status=0x8F)


def to_front(log: Log, kind: str) -> None:
    """Move the first such event before DRIVER_OK in QEMU's log."""
    event = log.one(kind)
    log.events.remove(event)
    ready = log.one("dev_status", status=0x0F)
    log.events.insert(log.events.index(ready), event)


@case("ST-DE-01")
def pops_too_early(log: Log) -> None:
    to_front(log, "dev_pop")


@case("ST-DE-02")
def interrupts_too_early(log: Log) -> None:
    to_front(log, "dev_signal")


def broken_device() -> Log:
    log = run()
    place = {"dev": 1, "cpu": 0, "pid": 7}
    at = log.one("driver", stage=1)
    at = log.insert(at, "status", **place, status=0x4F, op=1)
    log.insert(at, "config_change", **place, status=0x4F)
    later(log)
    log.drop(log.of("dev_config_signal"))
    return log


@case("ST-DE-04", clean=broken_device)
def trouble_is_not_announced(log: Log) -> None:
    log.drop(log.of("config_change"))
