# SPDX-License-Identifier: GPL-2.0-only
"""The means of cases: makers of logs in which rules hold, and the register of all cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.spec.log import Event, Log
from tests.spec.machine import OFFERED, run

Break = Callable[[Log], None]

Make = Callable[[], Log]


@dataclass(frozen=True)
class Case:
    """A change that breaks a rule, and a maker of logs in which the rule holds."""

    rule: str
    clean: Make
    act: Break


CASES: list[Case] = []


def case(*names: str, clean: Make = run) -> Callable[[Break], Break]:
    """Register a function that breaks these rules in a log like ``clean``'s."""

    def register(function: Break) -> Break:
        CASES.extend(Case(name, clean, function) for name in names)
        return function

    return register


def like(**setting: Any) -> Make:
    """A maker of logs of one kind of machine."""
    return lambda: run(**setting)


def later(log: Log, seconds: float = 20) -> None:
    """The trace goes on: everybody has had the time to do what was to be done."""
    log.now += int(seconds * 1e9)
    log.add("status", dev=1, life=None, cpu=0, pid=1, status=1, op=1)
    log.add("dev_config_signal", dev=1, life=None, pid=1)


def bare(**features: int) -> Log:
    """A driver that negotiates, and no more; ``features``: offered, acked and its kind."""
    log = Log()
    place = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
    offered = features.get("offered", OFFERED)
    acked = features.get("acked", offered)
    for status in (0, 1, 3, 0x0B):
        log.add("dev_status", dev=1, life=0, pid=1, status=status)
    log.add("driver", **place, id=features.get("id", 2), err=0, stage=0)
    log.add("features", **place, offered=offered, driver=acked, acked=acked, stage=0)
    log.add("status", **place, status=3, op=1)
    log.add("status", **place, status=0x0B, op=0)
    log.add("status", **place, status=0x0B, op=1)
    log.add("features", **place, offered=offered, driver=acked, acked=acked, stage=2)
    return log


def set_bits(log: Log, *, offered: int = 0, acked: int = 0) -> None:
    for event in log.of("features"):
        event["offered"] |= offered
        event["acked"] |= acked


def clear_bits(log: Log, *, offered: int = 0, acked: int = 0) -> None:
    for event in log.of("features"):
        event["offered"] &= ~offered
        event["acked"] &= ~acked


def chains(log: Log, vq: int) -> list[list[Event]]:
    """The add of each chain with its descriptors and its request."""
    found: list[list[Event]] = []
    for event in log.of("add", "desc", "blk_start", vq=vq):
        if event["kind"] == "add":
            found.append([])
        found[-1].append(event)
    return found
