# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/suspend.py and suspended.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.log import Event, Log
from tests.spec.registers import ALL, DEV, Device, pci, repeat


def suspended() -> Log:
    """Return a log of a device that is suspended and resumed."""
    device = pci(ALL | 1 << bits.SUSPEND)
    device.kick(0)
    device.status(0x1F)
    device.read("status", 0x1F)
    device.read("status", 0x1B)
    device.status(0x1F)
    device.read("status", 0x1B)
    device.read("status", 0x0F)
    device.kick(0)
    return device.log


def too_early() -> Log:
    """Return a log of a device that ignores SUSPEND before DRIVER_OK."""
    device = pci(ALL | 1 << bits.SUSPEND)
    device.reset()
    device.negotiate()
    device.status(0x1B)
    device.read("status", 0x0B)
    return device.log


def traced() -> Log:
    """Return a log of a driver whose own trace has that it suspends its device."""
    device = pci(ALL | 1 << bits.SUSPEND)
    seen = {"dev": DEV, "life": 0, "cpu": 0, "pid": 7}
    for status, op in (
        (0x0F, bits.STATUS_WRITE),
        (0x1F, bits.STATUS_WRITE),
        (0x1B, bits.STATUS_READ),
    ):
        device.log.add("status", **seen, status=status, op=op)
    return device.log


def _suspended() -> Device:
    device = pci(ALL | 1 << bits.SUSPEND)
    device.status(0x1F)
    device.read("status", 0x1B)
    return device


def written() -> Log:
    """Return a log of a device that is suspended, and whose configuration is written."""
    device = pci(ALL | 1 << bits.SUSPEND)
    device.config(32, 1, 1)
    device.status(0x1F)
    device.read("status", 0x1B)
    device.write("config", 0, structure="config", offset=32, size=1)
    device.config(32, 1, 1)
    return device.log


def grown() -> Log:
    """Return a log of a device whose configuration changes while it is suspended."""
    device = _suspended()
    device.config(0, 4, 100)
    for value in (0, 0):
        device.read("isr", value, structure="isr")
    device.config(0, 4, 200)
    device.status(0x0F)
    device.read("status", 0x0F)
    for value in (2, 0):
        device.read("isr", value, structure="isr")
    return device.log


def busy() -> Log:
    """Return a log of a device that returns a chain before it shows that it is suspended."""
    device = pci(ALL | 1 << bits.SUSPEND)
    place = {"dev": DEV, "life": 0, "vq": 0, "elem": 1, "pid": 1}
    device.log.add("dev_pop", **place, in_num=1, out_num=1, avail_idx=1)
    device.status(0x1F)
    device.log.add("dev_fill", **place, len=1, index=0)
    device.read("status", 0x1B)
    return device.log


def _reads(log: Log) -> list[Event]:
    return log.of("register", register="status", write=0)


def _asked(log: Log) -> Event:
    return log.one("register", register="status", write=1, value=0x1F)


@case("DS-DR-01", clean=suspended)
def suspended_without_driver_ok(log: Log) -> None:
    """The driver sets SUSPEND although DRIVER_OK is not set."""
    log.drop(log.of("register", register="status", write=1, value=0x0F))


@case("DS-DR-02", clean=suspended)
def suspension_not_awaited(log: Log) -> None:
    """The driver writes to a register before the device shows that it is suspended."""
    repeat(log, _asked(log), log.one("register", register="queue_select"))


@case("DS-DR-03", clean=traced)
def added_when_suspended(log: Log) -> None:
    """The driver makes a chain available after it has set SUSPEND."""
    status = log.one("status", op=bits.STATUS_WRITE, status=0x1F)
    log.insert(status, "add", dev=DEV, life=0, vq=0, seq=1, head=0, chain=1)


@case("DS-DR-04", clean=suspended)
def notified_when_suspended(log: Log) -> None:
    """The driver notifies a queue after it has set SUSPEND."""
    repeat(log, _asked(log), log.one("register", register="queue_notify"))


@case("DS-DR-05", clean=suspended)
def config_written_when_suspended(log: Log) -> None:
    """The driver writes to the configuration after it has set SUSPEND."""
    repeat(log, _asked(log), log.one("register", register="config", offset=32), write=1)


@case("DS-DR-06", clean=suspended)
def resumption_not_awaited(log: Log) -> None:
    """The driver notifies a queue before the device shows that it runs again."""
    log.drop(_reads(log)[-1:])


@case("DS-DE-01", clean=too_early)
def suspended_before_driver_ok(log: Log) -> None:
    """The device shows SUSPEND before DRIVER_OK is set."""
    _reads(log)[-1]["value"] = 0x1B


@case("DS-DE-02", clean=written)
def config_taken_when_suspended(log: Log) -> None:
    """A suspended device takes what is written to its configuration."""
    log.of("register", register="config", offset=32)[-1]["value"] = 0


@case("DS-DE-03", clean=suspended)
def chain_when_suspended(log: Log) -> None:
    """A suspended device takes a chain."""
    place = {"vq": 0, "elem": 1, "in_num": 1, "out_num": 1, "avail_idx": 1}
    log.insert(log.one("register", register="status", write=0, value=0x1B), "dev_pop", **place)


@case("DS-DE-04", clean=grown)
def change_announced_when_suspended(log: Log) -> None:
    """A suspended device announces a change of its configuration."""
    log.of("register", register="isr")[1]["value"] = 2


@case("DS-DE-05", clean=grown)
def change_never_announced(log: Log) -> None:
    """A device is resumed, and does not announce what changed when it was suspended."""
    log.of("register", register="isr")[2]["value"] = 0
    log.of("register", register="isr")[-1]["ts"] += 2 * 10**9


@case("DS-DE-08", clean=busy)
def suspended_with_a_chain(log: Log) -> None:
    """The device shows that it is suspended, and returns a chain after that."""
    shown = log.one("register", register="status", write=0, value=0x1B)
    fill = log.one("dev_fill")
    log.events.remove(shown)
    log.events.insert(log.events.index(fill), shown)


def _wait(log: Log, first: int, status: int) -> None:
    """Let the driver read one status for longer than a second."""
    reads = _reads(log)[first:]
    for read in reads:
        read["value"] = status
    for event in log.events[log.events.index(reads[-1]) :]:
        event["ts"] += 3 * 10**9


@case("DS-DE-06", clean=suspended)
def never_suspended(log: Log) -> None:
    """The device does not answer a request to suspend itself."""
    log.drop(_reads(log)[-2:])
    log.drop(log.of("register", register="status", write=1, value=0x1F)[1:])
    _wait(log, -2, 0x1F)


@case("DS-DE-07", clean=suspended)
def never_resumed(log: Log) -> None:
    """The device does not answer a request to run again."""
    _wait(log, -2, 0x1B)
