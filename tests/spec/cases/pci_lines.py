# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/pci_lines.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.registers import DEV, NO_VECTOR, one_queue, pci


def interrupting() -> Log:
    """Return a log of a device without MSI-X that interrupts for both reasons."""
    device = pci()
    device.reset()
    device.negotiate()
    for kind, isr in (("dev_signal", 1), ("dev_config_signal", 2)):
        place = {"vq": 0} if kind == "dev_signal" else {}
        device.log.add(kind, dev=DEV, life=1, pid=1, **place)
        device.read("isr", isr, structure="isr")
    return device.log


@case("PR-DE-02", "PR-DE-03", clean=interrupting)
def isr_shows_nothing(log: Log) -> None:
    """The ISR status has the other bit when the interrupt comes."""
    for event in log.of("register", register="isr"):
        event["value"] ^= 3


def on_the_line() -> Log:
    """Return a log of a driver that reads PCI's status and the ISR status at each interrupt."""
    disk = Disk()
    for _ in range(2):
        for raised in (1, 0):
            line = {"pci_status": 0x10 | raised << 3, "isr": raised, "raised": raised}
            disk.log.add("line", **disk.place, **line)
    return disk.log


@case("PR-DE-03", "PR-DE-04", clean=on_the_line)
def isr_is_empty(log: Log) -> None:
    """The line is raised, and the ISR status has no bit."""
    log.one("line")["isr"] = 0


@case("PR-DE-05", clean=on_the_line)
def isr_stays(log: Log) -> None:
    """The ISR status has its bit when it is read again."""
    log.one("line", 1).update(isr=1, pci_status=0x18)


@case("PR-DE-04", clean=on_the_line)
def status_stays(log: Log) -> None:
    """PCI's status still has the interrupt when the ISR status was read."""
    log.one("line", 1)["pci_status"] = 0x18


def unmapped() -> Log:
    """Return a log of a queue that has no vector."""
    disk = Disk()
    disk.log.add("queue_vector", **disk.place, vq=0, vector=bits.NO_VECTOR)
    return disk.ask(bits.T_IN, 0, 8).ask(bits.T_IN, 0, 8).log


@case("PU-DE-01", clean=unmapped)
def interrupt_without_a_vector(log: Log) -> None:
    """An interrupt of the queue comes."""
    log.add("interrupt", dev=1, life=0, cpu=0, pid=7, vq=0, used_idx=2, last_used=1)


def changing(kind: str, **fields: int) -> Log:
    """Return a log of a driver without requests whose device changes its capacity twice."""
    disk = Disk()
    place = {name: disk.place[name] for name in ("dev", "life", "cpu", "pid")}
    for capacity in range(1, 4):
        disk.log.add("config", **place, offset=0, len=8, value=capacity, write=0)
        disk.log.add(kind, **place, **fields)
    return disk.log


def changing_without_a_vector() -> Log:
    """Return a log of changes for which no vector is set."""
    return changing("config_vector", vector=bits.NO_VECTOR)


def changing_by_the_line() -> Log:
    """Return a log of changes that raise the line."""
    return changing("line", pci_status=0x18, isr=3, raised=1)


@case("PG-DE-01", clean=changing_without_a_vector)
def change_without_a_vector(log: Log) -> None:
    """An interrupt of the first queue comes of a change."""
    place = {"dev": 1, "life": 0, "cpu": 0, "vq": 0, "seq": 1}
    log.insert(log.one("config_vector"), "interrupt", **place, used_idx=0, last_used=0)


@case("PR-DE-02", clean=changing_by_the_line)
def change_shows_as_used_buffers(log: Log) -> None:
    """The ISR status has the bit of queues alone when the configuration changes."""
    log.one("line")["isr"] = 1


def by_the_line() -> Log:
    """Return a log of a driver that gives its queue no vector, and reads the ISR status."""
    device = one_queue()
    for event in device.log.of("register", register="queue_vector"):
        event["value"] = NO_VECTOR
    place = {"dev": DEV, "life": 0, "cpu": 0, "vq": 0}
    for n in range(8):
        device.read("isr", 1, structure="isr")
        device.log.add("interrupt", **place, irq=11, used_idx=n + 1, last_used=n)
    return device.log


@case("DX-102", clean=by_the_line)
def reason_is_not_read(log: Log) -> None:
    """The driver never reads the ISR status."""
    log.drop(log.of("register", register="isr"))
