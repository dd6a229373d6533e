# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/interrupt_status.py."""

from __future__ import annotations

from typing import Any

from pykit.spec import bits
from pykit.trace.register_map import REGISTERS
from tests.spec.cases.base import Make, case, later
from tests.spec.cases.ignored import decoyed
from tests.spec.cases.liveness import AT_WORK, stopped
from tests.spec.cases.pci_lines import changing
from tests.spec.disk import Disk
from tests.spec.log import Event, Log

#: Where the status stands, by structure.
MMIO, LEGACY = "mmio", "legacy"
_PLACE = {"dev": 1, "life": 0, "cpu": 0}


def _fields(structure: str, name: str, value: int, write: int) -> dict[str, Any]:
    known = REGISTERS[structure][name]
    where = {"offset": known.offset, "size": known.size, "address": known.offset}
    return {
        "structure": structure,
        "register": name,
        **where,
        "value": value,
        "write": write,
        "insns": 0,
        "pc": 0,
    }


def _begun(log: Log, structure: str) -> Log:
    """Write a reset down in front of all: the accesses of the driver are all seen."""
    first = log.events[0]
    for value, write in ((1, 1), (0, 0), (0, 1)):
        fields = _fields(structure, "status", value, write)
        log.insert(first, "acc_register", after=False, **{**_PLACE, **fields})
        first = log.events[0]
    return log


def _status(log: Log, at: Event, structure: str, value: int) -> None:
    """Have the driver read the interrupt status behind an event."""
    fields = {**_PLACE, **_fields(structure, "isr", value, 0)}
    log.insert(at, "acc_register", **fields)


def waiting(structure: str) -> Make:
    """Return a maker of logs of a driver that reads the status for each interrupt it waits for."""

    def make() -> Log:
        log = _begun(decoyed(event_idx=False)(), structure)
        for event in log.of("returned"):
            _status(log, event, structure, 1)
        return log

    return make


def changed(structure: str) -> Make:
    """Return a maker of logs of a driver that reads the status whenever the capacity changes."""

    def make() -> Log:
        log = changing("config_change", status=15)
        log.clock = "wall"
        for event in log.of("config_change"):
            _status(log, event, structure, 3)
        return _begun(log, structure)

    return make


@case("DX-89", clean=waiting(MMIO))
@case("PR-DE-03", clean=waiting(LEGACY))
def queue_shows_as_change(log: Log) -> None:
    """The interrupt status has the bit of changes when a buffer was used."""
    log.one("acc_register", 2, register="isr")["value"] = 2


@case("DX-89", clean=changed(MMIO))
@case("PR-DE-02", clean=changed(LEGACY))
def change_shows_as_queue(log: Log) -> None:
    """The interrupt status has the bit of queues alone when the configuration changes."""
    log.one("acc_register", 1, register="isr")["value"] = 1


def both_at_once() -> Log:
    """Return a log of a driver that finds both reasons in each status that it reads."""
    log = changing("config_change", status=15)
    for event in log.of("config_change"):
        log.insert(event, "acc_register", after=False, **_PLACE, **_fields(LEGACY, "isr", 3, 0))
    return _begun(log, LEGACY)


@case("PG-DR-01", clean=both_at_once)
def change_at_once_is_ignored(log: Log) -> None:
    """The driver handles no change of the configuration that comes with used buffers."""
    log.drop(log.of("config_change")[:1])
    later(log)


def _unseen(log: Log) -> Event:
    """Return where the driver disables interrupts with entries in the ring."""
    calls = log.of("callback", enable=0)
    return next(event for event in calls if event["used_idx"] != event["last_used"])


def both_at_work() -> Log:
    """Return a log of a driver at work that finds both reasons in one interrupt."""
    log = AT_WORK()
    off = _unseen(log)
    log.insert(off, "config_change", dev=1, life=0, cpu=0, pid=7, status=15, after=False)
    log.insert(off, "acc_register", after=False, **_PLACE, **_fields(LEGACY, "isr", 3, 0))
    return _begun(log, LEGACY)


@case("PG-DR-01", clean=both_at_work)
def buffers_at_once_are_left(log: Log) -> None:
    """The driver handles the change of the configuration alone, and takes no buffer any more."""
    stopped(log, _unseen(log))


def acknowledging() -> Log:
    """Return a log of a driver that acknowledges an interrupt once all chains are back."""
    disk = Disk()
    for n in range(2):
        disk.ask(bits.T_IN, 0, 8)
        entry = {"id": n, "len": 1, "index": n, "head": n, "changed": 0}
        disk.log.add("returned", **disk.place, vq=0, **entry)
        for name, value, write in (("isr", 1, 0), ("interrupt_ack", 1, 1), ("isr", 0, 0)):
            disk.log.add("acc_register", **_PLACE, **_fields(MMIO, name, value, write))
    return _begun(disk.log, MMIO)


@case("DX-90", clean=acknowledging)
def acknowledged_stays(log: Log) -> None:
    """InterruptStatus has the bit that was acknowledged."""
    log.one("acc_register", 1, register="isr")["value"] = 1
