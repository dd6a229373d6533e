# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/reset.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.cases.status import READY
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED


@case("RS-DE-01")
def status_comes_back(log: Log) -> None:
    """After a reset the status reads 0, and then DRIVER_OK again."""
    read = log.one("status", op=bits.STATUS_READ, status=0)
    log.insert(read, "status", status=READY, op=bits.STATUS_READ)


def of_registers() -> Log:
    """Return a log of a driver whose register accesses QEMU logged, and nothing else."""
    log = Log()
    for status, op in (
        *((READY, bits.STATUS_WRITE), (0, bits.STATUS_RESET), (0, bits.STATUS_READ)),
        *((bits.ACKNOWLEDGE, bits.STATUS_WRITE), (READY, bits.STATUS_WRITE)),
    ):
        event = log.add("status", dev=1, life=0, pid=1, status=status, op=op)
        event["source"] = "registers"
    return log


@case("RS-DR-01", "PM-DR-05", clean=of_registers)
def reset_is_not_waited_for(log: Log) -> None:
    """The driver resets the device, reads DRIVER_OK, and goes on."""
    log.one("status", op=bits.STATUS_READ, status=0)["status"] = READY


@case("RS-DR-01", "PM-DR-05", clean=of_registers)
def reset_is_not_read_back(log: Log) -> None:
    """The driver resets the device and goes on without a read of its status."""
    log.drop(log.of("status", op=bits.STATUS_READ))


@case("RS-DR-01", clean=of_registers)
def queues_go_before_the_status_is_read(log: Log) -> None:
    """The driver takes its queues down after a reset, and reads the status only then."""
    reset = log.one("status", op=bits.STATUS_RESET)
    log.insert(reset, "register", structure="common", register="queue_select", write=1, value=0)


@case("RS-DE-02")
def interrupt_after_reset(log: Log) -> None:
    """The device sends an interrupt after a reset, before it is initialized again."""
    log.add("dev_signal", dev=1, life=None, pid=1, vq=0)


@case("RS-DE-03")
def pop_after_reset(log: Log) -> None:
    """The device takes a buffer after a reset, before it is initialized again."""
    log.add("dev_pop", dev=1, life=None, pid=1, vq=0, elem=1, in_num=1, out_num=1, avail_idx=1)


def watched() -> Log:
    """Return a log of our driver, which watched its queue behind the reset."""
    disk = Disk(offered=OFFERED)
    disk.log.add("quiet", **disk.place, vq=0, used_idx=3, used_after=3)
    return disk.log


@case("RS-DE-03", clean=watched)
def returned_after_reset(log: Log) -> None:
    """The device returns a chain behind a reset."""
    log.one("quiet")["used_after"] = 4
